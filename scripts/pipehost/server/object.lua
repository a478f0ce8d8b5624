-- SPDX-License-Identifier: MIT
-- A server as scripts see it, from its declaration to its end.
local connection = require "pipehost.server.connection"
local core = require "pipehost.core"
local frame = require "pipehost.frame"
local pipe = require "pipehost.pipe"

local STOP_MS = 5000 -- of server:stop()
local CUT_MS = 1000 -- for handlers to end after their client was cut
local MAX_QUEUE = 64 -- posts that wait, for each connection
local QUEUE_MESSAGES = 16 -- … and this many of the longest messages
local MAX_MESSAGE = 65536

---@class pipehost.server
---@field name string
local Server = {}

---@param options table checked already
---@return pipehost.server
function Server.new(options)
  return setmetatable({
    name = options.name,
    key = (core.real_name and core.real_name(options.name) or options.name):lower(),
    options = options,
    place = core.place(), -- of its declaration
    state = "declared",
    stopped = pipe.event(),
    core = false, -- until it is bound or takes over
    path = false,
  }, Server)
end

function Server:core_options()
  local options, debugging = self.options, core.log_enabled "debug"
  return {
    key = self.key,
    name = self.name,
    timeout = options.timeout,
    idle_timeout = options.idle_timeout,
    handler = options.on_message or options.session,
    messages = options.on_message ~= nil,
    dispatch = connection.dispatch,
    object = self,
    frame = options.frame and frame.of(options.frame),
    max_queue = options.max_queue or MAX_QUEUE,
    max_queue_bytes = QUEUE_MESSAGES * (options.max_message or MAX_MESSAGE),
    state_version = options.state_version or 1,
    spread = self:is_spread(),
    closes = options.on_reload == "close",
    finishes = options.on_reload == "finish" or not options.on_message,
    quiet_open = not options.steps and not options.on_open and not debugging,
    quiet_end = not options.on_close and not debugging,
    quiet_adopt = not options.on_adopt and not options.migrate and not options.state_version,
  }
end

-- Are its clients spread over the workers?
function Server:is_spread()
  return self.options.workers == "all" and core.workers > 1
end

-- Do connections of an earlier generation come over with their state?
function Server:may_adopt()
  local options = self.options
  local way = options.on_reload
  return way == nil or way == "handover" or (way == "finish" and not options.on_message)
end

-- Stopping --------------------------------------------------------------------

function Server:refuse_new()
  if self.state == "running" then
    self.state = "stopping"
    self.core:refuse()
  end
end

function Server:finish_clients(deadline)
  self.core:finish "stopped"
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

-- At this worker.
function Server:stop_here(ms)
  if self.state == "running" and self.core:current() then
    self:refuse_new()
    self:finish_clients(pipe.now() + ms)
  end
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
  elseif self.state == "running" or self.state == "elsewhere" then
    ms = ms or STOP_MS
    if core.workers > 1 and (self:is_spread() or core.worker > 1) then
      core.stop_others(self.key, ms)
    end
    self:stop_here(ms)
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

---Posts to every connection of the name, whichever generation serves it, but
---not to `except`.
---@param data string
---@param except? userdata a connection
---@return integer queued for so many
function Server:broadcast(data, except)
  local queued = self.core and self.core:broadcast(data, except) or 0
  if core.workers > 1 and (core.worker > 1 or self:is_spread()) then
    core.announce(self.key, data)
  end
  return queued
end

---What `ctl status` shows of it.
---@return table
function Server:status()
  local connections, served, stayed = 0, 0, 0
  if self.core then
    connections, served, stayed = self.core:counts()
  end
  return {
    name = self.name, state = self.state, connections = connections, served = served, stayed = stayed,
    mode = self.options.mode or "message", max_instances = math.tointeger(self.options.max_instances),
  }
end

function Server:__tostring()
  return "server " .. self.name
end

Server.__index = core.index(Server, "a server")

return Server
