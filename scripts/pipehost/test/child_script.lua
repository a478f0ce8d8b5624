-- SPDX-License-Identifier: MIT
-- Scripts in a `pipehost` of their own: a server that is served, a client that is
-- run.
local common = require "pipehost.command.common"
local context = require "pipehost.test.context"
local control = require "pipehost.control"
local core = require "pipehost.core"
local dependencies = require "pipehost.test.dependencies"
local names = require "pipehost.test.names"
local pipe = require "pipehost.pipe"
local program = require "pipehost.test.program"

local READY_MS = 20000
local RELOAD_MS = 20000
local STOP_MS = 5000

---@class pipehost.test.child_server
---@field path string
---@field program pipehost.test.program
---@field control string
local Server = {}
Server.__index = Server

local M = {}

local function command(verb, args)
  local line = { core.host.program() }
  if context.settings.library then
    table.move({ "--scripts", context.settings.library }, 1, 2, #line + 1, line)
  end
  line[#line + 1] = verb
  for _, option in ipairs { "set", "path", "rename", "faults" } do
    for _, value in ipairs(args[option] or {}) do
      line[#line + 1] = "--" .. option
      line[#line + 1] = value
    end
  end
  return line
end

local function start(line, path)
  dependencies.add_script(path)
  return program.start(line)
end

---@param path string
---@param args table as of the command line
---@return pipehost.test.child_server?
---@return string? message
function M.serve(path, args)
  local line, name = command("serve", args), names.fresh()
  table.move({ "--control", name, path }, 1, 3, #line + 1, line)
  local child, _, info = start(line, path)
  if not child then
    return nil, tostring(info)
  end
  local ok, message = pcall(child.stderr.expect, child.stderr, "serving %d+ script", READY_MS)
  if not ok then
    return nil, message
  end
  return setmetatable({ path = path, program = child, control = name }, Server)
end

-- Gives what `ctl` would print.
function Server:ask(what, options, ms)
  local reply, _, info = pipe.call(self.control, control.request(what, options), {
    timeout = ms, max_message = control.LONGEST,
  })
  if not reply then
    return nil, tostring(info)
  end
  local status, text = control.parse_reply(reply)
  if status ~= common.OK then
    return nil, text or reply
  end
  return text
end

---Makes a new generation of the files as they are now.
---@return string?
---@return string? message
function Server:reload()
  return self:ask("reload", { force = true }, RELOAD_MS)
end

---Asks it to end, and waits until it has.
---@param ms? number (5000)
---@return integer? status
function Server:stop(ms)
  self:ask("stop", {}, ms or STOP_MS)
  return self.program:wait(ms or STOP_MS)
end

---@param path string
---@param args table with `arguments` for the script
---@return pipehost.test.program
function M.run(path, args)
  local line = command("run", args)
  line[#line + 1] = path
  table.move(args.arguments or {}, 1, #(args.arguments or {}), #line + 1, line)
  local child, _, info = start(line, path)
  return assert(child, tostring(info))
end

return M
