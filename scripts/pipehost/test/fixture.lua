-- SPDX-License-Identifier: MIT
-- t.server, t.client, t.reload: from a script or a table, here or in a process of
-- its own.
local child_script = require "pipehost.test.child_script"
local context = require "pipehost.test.context"
local core = require "pipehost.core"
local fault_plan = require "pipehost.fault_plan"
local faults = require "pipehost.test.faults"
local misuse = require "pipehost.misuse"
local mock = require "pipehost.test.mock"
local names = require "pipehost.test.names"
local run_script = require "pipehost.test.run_script"
local script_server = require "pipehost.test.script_server"
local servers = require "pipehost.server"

local M = {}

local server_names = { "child", "names", "set", "path", "faults" }
local client_names = { "child", "names", "set", "path", "faults", "arguments" }

---A path as a test means it: from the folder of the test file.
---@param path string
---@return string
function M.path_of(path)
  if path:find "^[/\\]" or path:find "^%a:" then
    return path
  end
  return context.settings.folder .. "/" .. path
end

-- { a = "b" } -> { "a=b" }, as on the command line.
local function pairs_of(given, what, option)
  local list = {}
  for key, value in pairs(given or {}) do
    if type(key) ~= "string" or type(value) ~= "string" and type(value) ~= "number" then
      misuse("%s: option '%s' is a table of names and texts", what, option)
    end
    list[#list + 1] = key .. "=" .. value
  end
  table.sort(list)
  return list
end

-- The faults that a script gets: in a child as words of its command line. The names
-- are the script's own.
local function fault_words(options, what)
  local given, words = options.faults or {}, {}
  if type(given) ~= "table" then
    misuse("%s: option 'faults' is a table of names and plans", what)
  end
  for name, plan in pairs(given) do
    name = options.names and options.names[name] or name
    if options.child then
      words[#words + 1] = fault_plan.word(what, name, plan)
    else
      faults.faults(name, plan)
    end
  end
  return words
end

local function script_arguments(options, known, what)
  options = options or {}
  core.check_options(options, known, what)
  local path = options.path
  return {
    library = context.settings.library, path = type(path) == "string" and { path } or path,
    set = pairs_of(options.set, what, "set"), rename = pairs_of(options.names, what, "names"),
    arguments = options.arguments, faults = fault_words(options, what),
  }
end

local function with_name(options)
  if options.name then
    return options
  end
  local copy = { name = names.fresh() }
  for key, value in pairs(options) do
    copy[key] = value
  end
  return copy
end

---A server: of a script, of the options of pipehost.server, or of steps, which
---are played with each client.
---@param what string | table
---@param options? pipehost.test.script_options
function M.server(what, options)
  if type(what) == "table" then
    return (what.steps and mock.serve or servers.declare)(with_name(what))
  elseif type(what) ~= "string" then
    misuse "t.server: takes the path of a script, or a table"
  end
  local args = script_arguments(options, server_names, "t.server")
  local start = options and options.child and child_script.serve or script_server.start
  local server, message = start(M.path_of(what), args)
  if not server then
    error(("t.server %s: %s"):format(what, message), 0)
  end
  return server
end

---A client: of a script, or the options of pipehost.handshake, whose steps are
---played at once.
---@param what string | table
---@param options? pipehost.test.script_options
function M.client(what, options)
  if type(what) == "table" then
    return mock.client(what)
  elseif type(what) ~= "string" then
    misuse "t.client: takes the path of a script, or a table"
  end
  local args = script_arguments(options, client_names, "t.client")
  local start = options and options.child and child_script.run or run_script.start
  return start(M.path_of(what), args)
end

---A new generation of a server's script.
---@param server table that t.server gave
---@return string? nil where it was refused
---@return string? message
function M.reload(server)
  if type(server) ~= "table" or not server.reload then
    misuse "t.reload: takes a server of a script, as t.server gives it"
  end
  return server:reload()
end

return M
