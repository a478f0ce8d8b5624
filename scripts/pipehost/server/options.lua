-- SPDX-License-Identifier: MIT
-- The options of pipehost.server: their names, and what each may be.
local core = require "pipehost.core"
local frame = require "pipehost.frame"
local lists = require "pipehost.handshake.list"

local M = {}

local names = {
  "name", "mode", "access", "direction", "timeout", "idle_timeout", "backlog", "max_instances",
  "max_message", "max_queue", "frame", "first", "on_open", "on_message", "on_close", "on_error",
  "session", "on_reload", "state_version", "migrate", "on_adopt", "steps", "workers",
}
local function_names = { "on_open", "on_message", "on_close", "session", "on_adopt" }
local reload_ways = { handover = true, finish = true, close = true }

M.MOST_QUEUE = 1000000

---Those that pipe.create takes as they are.
M.create_names = {
  "mode", "access", "direction", "timeout", "backlog", "max_instances", "max_message", "first",
}

local function need_one_way(options, need)
  local ways = 0
  for _, name in ipairs { "on_message", "session", "steps" } do
    ways = ways + (options[name] ~= nil and 1 or 0)
  end
  need(ways == 1, "needs one of on_message, session and steps")
  if options.steps ~= nil and type(options.steps) ~= "function" then
    local ok, message = pcall(lists.check, options.steps)
    need(ok, "option 'steps'" .. (ok and "" or (message:find "^step" and ": " or " ") .. message))
  end
end

local function need_functions(options, need)
  for _, name in ipairs(function_names) do
    need(options[name] == nil or type(options[name]) == "function", ("option '%s' is a function"):format(name))
  end
  need_one_way(options, need)
  local on_error = options.on_error
  need(on_error == nil or on_error == "disconnect" or type(on_error) == "function",
    "option 'on_error' is \"disconnect\" or a function")
end

local function need_messages(options, need)
  local bytes = options.mode == "byte"
  need(bytes or options.frame == nil, "option 'frame' needs mode = \"byte\": a message pipe has messages already")
  need(not bytes or options.frame ~= nil or options.on_message == nil,
    "on_message on a byte pipe needs option 'frame'; without one it has a session")
  if options.frame ~= nil then
    local made, why = frame.of(options.frame)
    need(made, tostring(why))
  end
  local queue = options.max_queue
  need(queue == nil or math.type(queue) == "integer" and queue >= 1 and queue <= M.MOST_QUEUE,
    ("option 'max_queue' is a whole number from 1 to %d"):format(M.MOST_QUEUE))
end

local function need_times(options, need)
  for _, name in ipairs { "timeout", "idle_timeout" } do
    local ms = options[name]
    need(ms == nil or type(ms) == "number" and ms > 0,
      ("option '%s' is a number of milliseconds above 0"):format(name))
  end
end

local function need_reload(options, need)
  need(options.on_reload == nil or reload_ways[options.on_reload],
    "option 'on_reload' is \"handover\", \"finish\" or \"close\"")
  need(options.on_reload ~= "handover" or options.on_message,
    "on_reload = \"handover\" needs on_message; a session crosses at conn:checkpoint()")
  need(options.workers == nil or options.workers == "all",
    "option 'workers' is \"all\"; without it the first worker has all clients")
  need(options.state_version == nil or math.type(options.state_version) == "integer",
    "option 'state_version' is a whole number")
  need(options.migrate == nil or type(options.migrate) == "table",
    "option 'migrate' is a table: version -> function(state) that gives the next version's state")
end

---Raises, as of the caller's caller, where an option is not what it may be.
---@param options table
function M.check(options)
  if type(options) ~= "table" then
    error("pipehost.server: takes a table of options", 3)
  end
  local function need(condition, message)
    if not condition then
      error("pipehost.server" .. (options.name and " " .. tostring(options.name) or "") .. ": " .. message, 0)
    end
  end
  core.check_options(options, names, "pipehost.server")
  local ok, message = pcall(function()
    need(type(options.name) == "string", "option 'name' is the pipe's name")
    local fine, complaint = pcall(core.check_create, options.name, options)
    need(fine, complaint)
    need_functions(options, need)
    need_messages(options, need)
    need_times(options, need)
    need_reload(options, need)
  end)
  if not ok then
    error(message, 3)
  end
end

return M
