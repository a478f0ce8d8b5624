-- SPDX-License-Identifier: MIT
-- pipehost.server: handlers on a pipe. Each client has its own task, one
-- handler at a time; a handler's failure ends its own client alone.
local core = require "pipehost.core"
local lifecycle = require "pipehost.lifecycle"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local FOREVER = math.huge
local STOP_MS = 5000 -- of server:stop()
local PAUSE_MS = 100 -- after a failure to make the next instance

---@class pipehost.server
---@field name string
local Server = {}
Server.__index = Server

local declared = {}

local option_names = {
  "name", "mode", "access", "direction", "timeout", "idle_timeout", "backlog", "max_instances",
  "max_message", "first", "on_open", "on_message", "on_close", "on_error", "session",
}
local create_names = {
  "mode", "access", "direction", "timeout", "backlog", "max_instances", "max_message", "first",
}
local function_names = { "on_open", "on_message", "on_close", "session" }

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
    options = options,
    state = "declared",
    next_id = 1,
    count = 0, -- of connections
    served = 0,
    conns = {}, -- connection -> its record
    stopped = pipe.event(),
    ended = pipe.event(),
  }, Server)
  for _, other in ipairs(declared) do
    if other.name:lower() == self.name:lower() and other.state ~= "stopped" then
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

-- Outcomes that need no line in the log: the client's own business.
local quiet = { closed = true, stopped = true }

local function fields(record, code)
  return { pipe = record.server.name, connection = record.conn.id, code = code }
end

-- Ends the record's service for `reason`; the first reason counts.
local function finish(record, reason, message)
  if record.reason then
    return false
  end
  record.reason = reason
  if message then
    log.warn(("server %s: %s"):format(record.server.name, message), fields(record, reason))
  end
  return false
end

local function reason_of(code)
  if code == "timeout" or code == "closed" then
    return code
  end
  return code == "cancelled" and "stopped" or "error"
end

-- A failed operation of the host on behalf of the script.
local function failed(record, code, info)
  local reason = reason_of(code)
  return finish(record, reason, not quiet[reason] and tostring(info) or nil)
end

local function script_error(record, message)
  record.reason = "error"
  log.error(message, fields(record, "error"))
  local on_error = record.server.options.on_error
  if type(on_error) == "function" then
    local ok, again = xpcall(on_error, debug.traceback, record.conn, message)
    if not ok then
      log.error(again, fields(record, "error"))
    end
  end
  return false
end

local function call(record, fn, ...)
  return xpcall(fn, debug.traceback, record.conn, ...)
end

-- What on_message returned: a reply, nothing, or an outcome that ends it.
local function answer(record, ok, reply, code, info)
  if not ok then
    return script_error(record, reply)
  end
  if type(reply) == "string" then
    local sent, send_code, send_info = record.conn:send(reply)
    return sent or failed(record, send_code, send_info)
  end
  if reply ~= nil then
    return script_error(record, ("server %s: on_message returned a %s; a reply is a string"):format(
      record.server.name, type(reply)))
  end
  if code == nil then
    return true
  end
  local reason = code == "protocol" and "protocol" or reason_of(code)
  return finish(record, reason, tostring(info or code))
end

-- The next message, or nil when there is none: the client has gone, was silent
-- for too long, or the server stops and this client owes nothing.
local function next_message(record)
  local server, conn = record.server, record.conn
  local message, code, info
  if server.state ~= "stopping" then
    record.idle = true
    message, code, info = conn:receive(server.options.idle_timeout or FOREVER)
    record.idle = false
  end
  if message == nil and server.state == "stopping" and (code == nil or code == "cancelled") then
    message, code, info = conn:receive(0)
    if message == nil and code == "timeout" then
      return finish(record, "stopped")
    end
  end
  if message == nil and code == "toobig" then
    return finish(record, "protocol", tostring(info))
  elseif message == nil then
    failed(record, code, info)
  end
  return message
end

local function serve_messages(record)
  local on_message = record.server.options.on_message
  while not record.reason do
    local message = next_message(record)
    if not message or not answer(record, call(record, on_message, message)) then
      break
    end
    if not core.is_open(record.conn) then
      finish(record, "closed")
    end
  end
end

local function serve_session(record)
  local ok, message = call(record, record.server.options.session)
  if not ok then
    script_error(record, message)
  end
end

-- nil, code from on_open refuses the client.
local function opened(record)
  local on_open = record.server.options.on_open
  if not on_open then
    return true
  end
  local ok, value, code, info = call(record, on_open)
  if not ok then
    return script_error(record, value)
  end
  if value == nil and type(code) == "string" then
    return finish(record, "closed", "refused: " .. tostring(info or code))
  end
  return true
end

function Server:release(record)
  self.conns[record.conn] = nil
  self.count = self.count - 1
  if self.count == 0 and self.state == "stopping" then
    self.ended:set()
  end
end

-- Always runs to its end, whatever the script did: on_close, then the close.
local function serve(self, record)
  local options = self.options
  log.debug(("server %s: connected"):format(self.name), fields(record))
  if opened(record) then
    if options.on_message then
      serve_messages(record)
    else
      serve_session(record)
    end
  end
  local reason = record.reason or "closed"
  if options.on_close then
    local ok, message = call(record, options.on_close, reason)
    if not ok then
      log.error(message, fields(record, "error"))
    end
  end
  record.conn:close()
  log.debug(("server %s: disconnected"):format(self.name), fields(record, reason))
  self:release(record)
end

-- Accepting -------------------------------------------------------------------

function Server:create()
  local options = { timeout = nil }
  for _, name in ipairs(create_names) do
    options[name] = self.options[name]
  end
  options.timeout = nil
  if self.state ~= "declared" then
    options.first = nil
  end
  local instance, code, info = pipe.create(self.name, options)
  if instance then
    core.set_timeout(instance, self.options.timeout)
  end
  return instance, code, info
end

function Server:start_serving(conn)
  local record = { server = self, conn = conn }
  core.fields(conn, { id = self.next_id, server = self, generation = lifecycle.generation, state = {} })
  self.next_id = self.next_id + 1
  self.count = self.count + 1
  self.served = self.served + 1
  self.conns[conn] = record
  record.task = pipe.spawn(serve, self, record)
end

-- One instance always listens, so that the name stays; a client takes it.
local function accept(self)
  while self.state == "running" do
    local instance = self.listening
    local ok, code, info = instance:connect(FOREVER)
    if ok then
      self:start_serving(instance)
      self.listening, code, info = self:create()
    end
    while not self.listening and self.state == "running" do
      log.warn(tostring(info), { pipe = self.name, code = code })
      pipe.sleep(PAUSE_MS)
      self.listening, code, info = self:create()
    end
  end
end

-- Gives info on failure.
function Server:bind()
  local instance, _, info = self:create()
  if not instance then
    return info
  end
  self.listening = instance
  self.state = "running"
  self.acceptor = pipe.spawn(accept, self)
  log.info(("server %s: listening on %s"):format(self.name, instance:info().path))
end

-- Stopping --------------------------------------------------------------------

function Server:refuse_new()
  if self.state == "running" then
    self.state = "stopping"
    core.interrupt(self.acceptor)
    if self.listening then
      self.listening:close()
    end
  end
end

function Server:finish_clients(deadline)
  for _, record in pairs(self.conns) do
    if record.idle then
      core.interrupt(record.task)
    end
  end
  if self.count > 0 then
    self.ended:wait(math.max(deadline - pipe.now(), 0))
  end
  local cut = 0
  for conn, record in pairs(self.conns) do
    cut = cut + 1
    record.reason = record.reason or "stopped"
    core.host_close(conn)
  end
  if cut > 0 then
    self.ended:wait(1000)
  end
  return cut
end

---Stops: no new clients; a message that has come is answered; who is not done
---after `ms` (5000) is cut.
---@param ms? number
---@return true
function Server:stop(ms)
  if self.state == "declared" then
    self.state = "stopped"
  elseif self.state == "running" then
    local deadline = pipe.now() + (ms or STOP_MS)
    self:refuse_new()
    self:finish_clients(deadline)
    self.state = "stopped"
  end
  self.stopped:set()
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
  local list, i = {}, 0
  for conn in pairs(self.conns) do
    list[#list + 1] = conn
  end
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
    if server.state == "running" then
      running[#running + 1] = server
      server:refuse_new()
    end
  end
  for _, server in ipairs(running) do
    cut = cut + server:finish_clients(deadline)
    server.state = "stopped"
    server.stopped:set()
  end
  return cut
end

---Binds all that is declared; on a failure those that were bound are stopped
---again, and its sentence is returned.
local function bind_all()
  for _, server in ipairs(declared) do
    local info = server.state == "declared" and server:bind()
    if info then
      stop_all(0)
      return tostring(info)
    end
  end
end

local function status()
  local list = {}
  for _, server in ipairs(declared) do
    list[#list + 1] = {
      name = server.name, state = server.state, connections = server.count, served = server.served,
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
  ---For tests: stops what a test has left and forgets it.
  forget = function()
    stop_all(0)
    declared = {}
  end,
}
