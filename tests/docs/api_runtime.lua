-- SPDX-License-Identifier: MIT
-- The names that scripts really have, as docs/reference.md writes them:
-- "pipe.open", "p:send", "conn.state"; an option is "pipe.open{mode}".
local core = require "pipehost.core"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local M = {}

-- Of the library's own, not for scripts.
local INTERNAL = {
  ["server:"] = {
    "new", "core_options", "refuse_new", "finish_clients", "status", "may_adopt", "is_spread", "stop_here",
  },
  ["server."] = { "key", "options", "place", "path", "core", "state", "stopped" },
  ["hex."] = { "digits", "text", "difference" },
  ["s."] = { "layout", "codec" },
  ["s:"] = { "try_pack" },
  ["program:"] = { "close", "state" },
  ["program."] = { "process", "title", "suspect", "told", "killed" },
  ["output:"] = { "take", "finish", "close" },
  ["output."] = { "stream", "of", "rest", "at", "grown", "task" },
  ["mock:"] = { "play", "raise_failure", "finish", "check" },
  ["mock."] = { "server", "steps", "timeout", "open", "played", "changed", "place" },
  ["script_server:"] = { "reload", "ask" },
  ["script_server."] = { "script", "control" },
  ["script_run:"] = { "close" },
  ["script_run."] = { "generation", "remote", "status", "message" },
}
local function is_internal(prefix, name)
  for _, other in ipairs(INTERNAL[prefix] or {}) do
    if name == other then
      return true
    end
  end
  -- luaunit has each assertion under two names.
  return name:sub(1, 2) == "__" or prefix == "t." and name:match "^assert_" ~= nil
    or name:match "^assertIs%u" ~= nil or name:match "^assertNotIs%u" ~= nil
end

-- false where they are not known: of functions in C, and of luaunit.
local function parameters_of(value, method)
  local about = type(value) == "function" and debug.getinfo(value, "uS")
  if not about then
    return ""
  elseif about.what == "C" or about.source == "@luaunit.lua" then
    return false
  end
  local list = {}
  for i = method and 2 or 1, about.nparams do
    list[#list + 1] = debug.getlocal(value, i)
  end
  list[#list + 1] = about.isvararg and "..." or nil
  return table.concat(list, ", ")
end

-- All of a table; functions and fields alike.
local function add_table(names, prefix, values)
  for name, value in pairs(values) do
    if not is_internal(prefix, name) then
      names[prefix .. name] = parameters_of(value, prefix:sub(-1) == ":")
    end
  end
end

-- The types that C and the library make, with the prefix of their names.
local TYPES = {
  ["an operation"] = "op:", ["a task"] = "task:", ["an event"] = "event:", ["a server"] = "server:",
  ["a shared table"] = "shared:", ["a plan of faults"] = "faults:",
  ["pipehost"] = "pipehost.", ["pipehost.pipe"] = "pipe.", ["pipehost.log"] = "log.",
  ["pipehost.steps"] = "steps.", ["pipehost.test"] = "t.",
  ["a struct"] = "s:",
}

local function add_types(names)
  for what, values in pairs(core.types) do
    t.assertNotNil(TYPES[what], what .. ": tests/docs/api_runtime.lua does not know this type")
    add_table(names, TYPES[what], values)
  end
end

local function add_objects(names)
  local struct = pipehost.struct("<", { name = "sample", { "a", "B" } })
  add_table(names, "p:", core.methods)
  for _, method in ipairs { "post", "checkpoint" } do -- they raise elsewhere
    names["conn:" .. method], names["p:" .. method] = names["p:" .. method], nil
  end
  add_table(names, "hex.", require "pipehost.hex")
  add_table(names, "s.", struct)
  add_table(names, "s:", getmetatable(struct))
  local server = require "pipehost.server.object"
  add_table(names, "server.", server.new { name = t.name() })
  for _, field in ipairs(core.connection_fields) do
    names["conn." .. field] = ""
  end
end

-- An object's own fields and its methods.
local function add_object(names, prefix, object)
  add_table(names, prefix .. ".", object)
  add_table(names, prefix .. ":", getmetatable(object))
end

-- What the functions of pipehost.test give.
local function add_fixtures(names)
  local folder = t.files {
    ["server.lua"] = 'require("pipehost").server { name = "x", on_message = function() end }',
    ["client.lua"] = "return true",
  }
  local program = assert(t.spawn { t.program, "--version" })
  program:wait()
  add_object(names, "program", program)
  add_object(names, "output", program.stdout)
  local server = t.server(folder .. "/server.lua", { names = { x = t.name() } })
  add_object(names, "script_server", server)
  add_object(names, "script_server", t.server(folder .. "/server.lua", { names = { x = t.name() }, child = true }))
  add_object(names, "script_run", t.client(folder .. "/client.lua"))
  local mock = t.server { steps = { pipehost.steps.close() } }
  local client <close> = assert(pipehost.pipe.open(mock.name)) -- luacheck: ignore 211
  mock:wait()
  add_object(names, "mock", mock)
end

-- Options ---------------------------------------------------------------------

local UNKNOWN = ("?"):rep(16) -- near to no name

-- A function that checks its options says which there are: "pipe.open: unknown
-- option '???'; there are 'mode', …".
local function add_options_told(names, what, message)
  local teller, list = tostring(message):match "([^:]*): unknown option '%?+'; there are (.*)$"
  if not list then
    return
  end
  -- "pipehost.handshake retry": a table of options in the option.
  local owner, option = (what or teller):match "^%s*(%S+) ?(%S*)$"
  for name in list:gmatch "'([%w_]+)'" do
    names[("%s{%s%s}"):format(owner, option ~= "" and option .. "." or "", name)] = ""
  end
end

-- Calls the function with the unknown option in one of its first four arguments;
-- before it all that it may want.
local function probe(names, fn, before)
  local arguments = table.move(before, 1, #before, 1, {})
  arguments[#arguments + 1] = { [UNKNOWN] = 1 }
  add_options_told(names, nil, select(2, pcall(fn, table.unpack(arguments))))
  for _, sample in ipairs(#before < 3 and { "x", 1, print, { "x" } } or {}) do
    arguments[#before + 1] = sample
    probe(names, fn, arguments)
  end
end

-- These take anything, or wait.
local NOT_PROBED = { sleep = true, spawn = true, wait_any = true, wait_all = true, event = true, on_start = true,
  on_stop = true }

local function add_options(names)
  for _, module in ipairs { pipehost, pipehost.pipe, pipehost.steps } do
    for name, fn in pairs(module) do
      if type(fn) == "function" and not NOT_PROBED[name] then
        probe(names, fn, {})
      end
    end
  end
  local bad = { [UNKNOWN] = 1 }
  add_options_told(names, nil, select(2, pcall(pipehost.handshake, {
    pipe = t.name(), steps = { pipehost.steps.close() }, retry = bad,
  })))
  local field = { "a", "B", [UNKNOWN] = 1 }
  add_options_told(names, "pipehost.struct", select(2, pcall(pipehost.struct, "<", { field })))
end

---@return table<string, string | false> name -> parameters, false: not known
function M.names()
  local names = {}
  add_types(names)
  add_objects(names)
  add_fixtures(names)
  add_options(names)
  return names
end

return M
