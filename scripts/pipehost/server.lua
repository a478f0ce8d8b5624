-- SPDX-License-Identifier: MIT
-- pipehost.server: handlers on a pipe. One handler at a time for each client,
-- clients side by side; a handler's failure ends its own client alone.
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local STOP_MS = 5000 -- of server:stop()
local CUT_MS = 1000 -- for handlers to end after their client was cut

---@class pipehost.server
---@field name string
local Server = {}
Server.__index = Server

local declared = {}

local option_names = {
  "name", "mode", "access", "direction", "timeout", "idle_timeout", "backlog", "max_instances",
  "max_message", "first", "on_open", "on_message", "on_close", "on_error", "session", "on_reload",
  "state_version", "migrate", "on_adopt",
}
local create_names = {
  "mode", "access", "direction", "timeout", "backlog", "max_instances", "max_message", "first",
}
local function_names = { "on_open", "on_message", "on_close", "session", "on_adopt" }
local reload_ways = { handover = true, finish = true, close = true }

-- Declaring -------------------------------------------------------------------

local function check(options)
  if type(options) ~= "table" then
    error("pipehost.server: takes a table of options", 3)
  end
  local function need(condition, message)
    if not condition then
      error("pipehost.server" .. (options.name and " " .. tostring(options.name) or "") .. ": " .. message, 4)
    end
  end
  local ok, message = pcall(core.check_options, options, option_names, "pipehost.server")
  if not ok then
    error(message, 3)
  end
  need(type(options.name) == "string", "option 'name' is the pipe's name")
  for _, name in ipairs(function_names) do
    need(options[name] == nil or type(options[name]) == "function", ("option '%s' is a function"):format(name))
  end
  need((options.on_message ~= nil) ~= (options.session ~= nil), "needs either on_message or session")
  need(options.on_message == nil or (options.mode or "message") == "message",
    "on_message needs mode = \"message\"; a byte pipe has a session")
  for _, name in ipairs { "timeout", "idle_timeout" } do
    local ms = options[name]
    need(ms == nil or type(ms) == "number" and ms > 0,
      ("option '%s' is a number of milliseconds above 0"):format(name))
  end
  need(options.on_reload == nil or reload_ways[options.on_reload],
    "option 'on_reload' is \"handover\", \"finish\" or \"close\"")
  need(options.on_reload ~= "handover" or options.on_message,
    "on_reload = \"handover\" needs on_message; a session finishes where it began")
  need(options.state_version == nil or math.type(options.state_version) == "integer",
    "option 'state_version' is a whole number")
  need(options.migrate == nil or type(options.migrate) == "table",
    "option 'migrate' is a table: version -> function(state) that gives the next version's state")
  local on_error = options.on_error
  need(on_error == nil or on_error == "disconnect" or type(on_error) == "function",
    "option 'on_error' is \"disconnect\" or a function")
end

---Declares a server. Under `serve` it is bound when all of the script is
---loaded, under `run` at once.
---@param options table see docs/reference
---@return pipehost.server
local function declare(options)
  check(options)
  local self = setmetatable({
    name = options.name,
    key = options.name:lower(),
    options = options,
    state = "declared",
    stopped = pipe.event(),
  }, Server)
  for _, other in ipairs(declared) do
    if other.key == self.key and other.state ~= "stopped" then
      error(("pipehost.server: this script declares '%s' twice"):format(self.name), 2)
    end
  end
  declared[#declared + 1] = self
  if core.phase() == "running" then
    local info = self:bind()
    if info then
      error(tostring(info), 2)
    end
  end
  return self
end

-- One connection --------------------------------------------------------------
--
-- The C side (bindings/service.c, worker.c) accepts, waits for messages, calls
-- on_message and sends replies. Everything else comes here: dispatch(kind,
-- conn, …) runs in a worker and gives nil to go on, or the reason of the end.

local function fields(conn, code)
  return { pipe = conn.server.name, connection = conn.id, code = code }
end

local function warn(conn, code, message)
  log.warn(("server %s: %s"):format(conn.server.name, message), fields(conn, code))
end

local function reason_of(code)
  if code == "timeout" or code == "closed" or code == "protocol" then
    return code
  end
  return code == "cancelled" and "stopped" or "error"
end

-- Script code under its limits; this file's own goes on after it, whatever came.
local function call(conn, fn, ...)
  return core.call(fn, conn, ...)
end

-- One bad handler hurts only its own client. `limit`: "budget" or "nomem" if it
-- passed that one.
local function script_error(conn, message, limit)
  log.error(message, fields(conn, limit or "error"))
  local on_error = conn.server.options.on_error
  if type(on_error) == "function" then
    local ok, again = call(conn, on_error, message)
    if not ok then
      log.error(again, fields(conn, "error"))
    end
  end
  return limit == "budget" and limit or "error"
end

-- nil, code from on_open refuses the client.
local function opened(conn)
  local on_open = conn.server.options.on_open
  if not on_open then
    return
  end
  local ok, value, code, info = call(conn, on_open)
  if not ok then
    return script_error(conn, value, code)
  elseif value == nil and type(code) == "string" then
    warn(conn, code, "refused: " .. tostring(info or code))
    return "closed"
  end
end

local function run_session(conn)
  local ok, message, limit = call(conn, conn.server.options.session)
  if not ok then
    return script_error(conn, message, limit)
  end
  return "closed"
end

local kinds = {}

function kinds.opened(conn)
  log.debug(("server %s: connected"):format(conn.server.name), fields(conn))
  local reason = opened(conn)
  if reason or conn.server.options.on_message then
    return reason
  end
  return run_session(conn)
end

-- on_message raised, or returned anything but a reply or nothing.
function kinds.answered(conn, ok, reply, code, info)
  if not ok then
    return script_error(conn, reply, code)
  elseif reply ~= nil then
    return script_error(conn, ("server %s: on_message returned a %s; a reply is a string"):format(
      conn.server.name, type(reply)))
  end
  warn(conn, code, tostring(info or code))
  return reason_of(code)
end

-- The client is gone, or is to go: on_close runs after everything else. What
-- failed for the host's own reasons gets a line.
function kinds.ended(conn, reason, _, code, info)
  if code and (reason == "error" or reason == "protocol") then
    warn(conn, reason, tostring(info))
  end
  local on_close = conn.server.options.on_close
  if on_close then
    local ok, message = call(conn, on_close, reason)
    if not ok then
      log.error(message, fields(conn, "error"))
    end
  end
  log.debug(("server %s: disconnected"):format(conn.server.name), fields(conn, reason))
end

-- The state of version `version`, brought to the one that this server has:
-- migrate[n] makes n + 1 of n.
local function migrated(options, state, version)
  local wanted = options.state_version or 1
  if version > wanted then
    error(("state_version went back from %d to %d"):format(version, wanted), 0)
  end
  for n = version, wanted - 1 do
    local step = options.migrate and options.migrate[n]
    if not step then
      error(("there is no migrate[%d] from state_version %d to %d"):format(n, n, n + 1), 0)
    end
    state = step(state)
  end
  return state
end

-- A connection comes over from an earlier generation; an error sends it back.
function kinds.adopted(conn, state, version)
  local options = conn.server.options
  conn.state = migrated(options, state == nil and {} or state, version)
  if options.on_adopt then
    local ok, message = call(conn, options.on_adopt, version)
    if not ok then
      error(message, 0)
    end
  end
end

local function dispatch(kind, conn, ...)
  return kinds[kind](conn, ...)
end

-- Binding ---------------------------------------------------------------------

function Server:create()
  local options = {}
  for _, name in ipairs(create_names) do
    options[name] = self.options[name]
  end
  options.timeout = nil
  -- Two scripts of one host must not share a name unknowingly.
  options.first = options.first ~= false
  return pipe.create(self.name, options)
end

-- Gives info on failure.
function Server:bind()
  local instance, _, info = self:create()
  if not instance then
    return info
  end
  local path = instance:info().path
  self.core = core.bind(self:core_options(), instance)
  self.state = "running"
  log.info(("server %s: listening on %s"):format(self.name, path))
end

function Server:core_options()
  local options, debugging = self.options, core.log_enabled "debug"
  return {
    key = self.key,
    name = self.name,
    timeout = options.timeout,
    idle_timeout = options.idle_timeout,
    on_message = options.on_message,
    dispatch = dispatch,
    object = self,
    state_version = options.state_version or 1,
    closes = options.on_reload == "close",
    finishes = options.on_reload == "finish" or not options.on_message,
    quiet_open = options.on_message and not options.on_open and not debugging,
    quiet_end = not options.on_close and not debugging,
    quiet_adopt = not options.on_adopt and not options.migrate and not options.state_version,
  }
end

-- Takes over what an earlier generation serves under this name.
function Server:adopt()
  self.core = core.adopt(self:core_options())
  self.state = "running"
end

-- nil, or why this can't take over the name from an earlier generation.
function Server:conflict()
  local mode, direction = core.service(self.key)
  if not mode then
    return nil
  end
  for what, old in pairs { mode = mode, direction = direction } do
    local new = self.options[what] or (what == "mode" and "message" or "duplex")
    if new ~= old then
      return ("pipehost.server %s: %s changes from %s to %s; a name in use keeps it (restart to change it)"):format(
        self.name, what, old, new)
    end
  end
end

-- Stopping --------------------------------------------------------------------

function Server:refuse_new()
  if self.state == "running" then
    self.state = "stopping"
    self.core:refuse()
  end
end

function Server:finish_clients(deadline)
  self.core:finish()
  local cut = 0
  if not self.core:wait_empty(math.max(deadline - pipe.now(), 0)) then
    cut = self.core:cut "stopped"
    self.core:wait_empty(CUT_MS)
  end
  self.core:close()
  self.state = "stopped"
  self.stopped:set()
  return cut
end

---Stops: no new clients; a message that has come is answered; who is not done
---after `ms` (5000) is cut.
---@param ms? number
---@return true
function Server:stop(ms)
  if self.state == "declared" then
    self.state = "stopped"
    self.stopped:set()
  elseif self.state == "running" and not self.core:current() then
    error(("server %s: a later generation serves it"):format(self.name), 2)
  elseif self.state == "running" then
    self:refuse_new()
    self:finish_clients(pipe.now() + (ms or STOP_MS))
  end
  return true
end

---Waits until the server has stopped.
---@param ms? number
---@return true?
---@return string? code "pending"
function Server:wait(ms)
  return self.stopped:wait(ms)
end

---The open connections.
---@return fun(): userdata?
function Server:connections()
  local list, i = self.core and self.core:connections() or {}, 0
  return function()
    i = i + 1
    return list[i]
  end
end

function Server:__tostring()
  return "server " .. self.name
end

-- For the script's life ---------------------------------------------------------

local function stop_all(ms)
  local deadline = pipe.now() + ms
  local cut, running = 0, {}
  for _, server in ipairs(declared) do
    if server.state == "running" or server.state == "retired" then
      running[#running + 1] = server
      server:refuse_new()
    end
  end
  for _, server in ipairs(running) do
    cut = cut + server:finish_clients(deadline)
  end
  return cut
end

local function bind_new()
  for _, server in ipairs(declared) do
    local new = server.state == "declared" and not core.service(server.key)
    local info = new and server:bind()
    if info then
      return tostring(info)
    end
  end
end

---Binds what is declared and new, then takes over what an earlier generation
---serves, all in one turn. On a failure what was bound is stopped again, nothing
---was taken over, and the failure's sentence is returned.
local function bind_all()
  for _, server in ipairs(declared) do
    local conflict = server:conflict()
    if conflict then
      return conflict
    end
  end
  local failed = bind_new()
  if failed then
    stop_all(0)
    return failed
  end
  for _, server in ipairs(declared) do
    if server.state == "declared" then
      server:adopt()
    end
  end
end

---One connection's state for each server that has some, to try migrate on.
local function samples()
  local list = {}
  for _, server in ipairs(declared) do
    for conn in server:connections() do
      list[server.key] = { state = conn.state, version = server.options.state_version or 1 }
      break
    end
  end
  return list
end

---Tries migrate on another generation's samples; raises where it fails.
local function try_migrate(list)
  for _, server in ipairs(declared) do
    local sample = list[server.key]
    if sample and server.options.on_message and (server.options.on_reload or "handover") == "handover" then
      migrated(server.options, sample.state, sample.version)
    end
  end
end

---A later generation has taken over: the names that it does not declare are
---given back, their clients served to the end, at most `ms`.
local function retire(ms)
  local deadline, removed = pipe.now() + ms, {}
  for _, server in ipairs(declared) do
    if server.state == "running" and server.core:current() then
      log.info(("server %s: is declared no more"):format(server.name))
      server:refuse_new()
      removed[#removed + 1] = server
    elseif server.state == "running" then
      server.state = "retired"
      server.stopped:set()
    end
  end
  for _, server in ipairs(removed) do
    server:finish_clients(deadline)
  end
end

---Cuts the connections that this generation still has.
local function evict()
  local cut = 0
  for _, server in ipairs(declared) do
    cut = cut + (server.state == "retired" and server.core:cut "evicted" or 0)
  end
  return cut
end

local function status()
  local list = {}
  for _, server in ipairs(declared) do
    local connections, served = 0, 0
    if server.core then
      connections, served = server.core:counts()
    end
    list[#list + 1] = {
      name = server.name, state = server.state, connections = connections, served = served,
      mode = server.options.mode or "message",
    }
  end
  return list
end

return {
  declare = declare,
  declared = function()
    return #declared > 0
  end,
  bind_all = bind_all,
  stop_all = stop_all,
  status = status,
  samples = samples,
  try_migrate = try_migrate,
  retire = retire,
  evict = evict,
  ---For tests: stops what a test has left and forgets it.
  forget = function()
    stop_all(0)
    declared = {}
  end,
}
