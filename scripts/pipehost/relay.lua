-- SPDX-License-Identifier: MIT
-- Stands between clients and a server: each client of a pipe gets a connection of
-- its own to another pipe, and what one end says goes to the other. Nothing is
-- changed; `see` is told of it.
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local server = require "pipehost.server"
local show = require "pipehost.show"

local CHUNK = 65536
local STOP_MS = 1000

---@class pipehost.relay.options
---@field target string
---@field mode "message" | "byte"
---@field max_message? integer
---@field timeout? number ms for the target to be there
---@field frame? any of byte pipes: whole messages are passed
---@field see fun(conn: integer, kind: string, bytes?: string, by?: string) an event, as it happens
---@field connections? integer it is done when so many are over

---@class pipehost.relay
---@field server? pipehost.server
---@field links table<table, true>
---@field count { connections: integer, messages: integer } messages, or of a byte pipe chunks
---@field done userdata event
local Relay = {}
Relay.__index = Relay

local M = {}

-- One client and its connection to the target.
local function new_link(relay, conn, target)
  return {
    id = conn.id, client = conn, target = target, messages = relay.messages, see = relay.options.see,
    count = relay.count, over = pipe.event(),
  }
end

-- The first end that closes, or why nothing more can be passed.
local function finish(link, by, code, info)
  if not link.by and not link.over:is_set() then
    link.by = by
    if code == "closed" then
      link.see(link.id, "close", nil, by)
    else
      log.error(("connection %d: %s"):format(link.id, info))
    end
  end
  link.over:set()
end

-- The operation's result; it ends early, as cancelled, when the link is over.
local function finished(link, op)
  if pipe.wait_any { op, link.over } ~= op then
    op:cancel()
    op:wait()
  end
  return op:result()
end

-- Passes on what comes from one end until it has closed. Where the other end has
-- closed, its own reader will say so.
local function pump(link, from, to, kind, by)
  while true do
    local data, code, info = finished(link, link.messages and from:receive_op() or from:read_op(CHUNK))
    if code == "cancelled" then
      return
    elseif not data then
      return finish(link, by, code, info)
    end
    link.count.messages = link.count.messages + 1
    link.see(link.id, kind, data)
    local ok
    ok, code, info = finished(link, link.messages and to:send_op(data) or to:write_op(data))
    if code == "closed" or code == "cancelled" then
      return
    elseif not ok then
      return finish(link, by, code, info)
    end
  end
end

local function connect(relay, conn)
  local options = relay.options
  local target, code, info = pipe.open(options.target, {
    mode = options.mode, timeout = options.timeout, max_message = options.max_message, frame = options.frame,
  })
  if not target then
    log.error(("connection %d: %s%s"):format(conn.id, info, code == "mode" and "; --mode tells which" or ""))
    return nil
  end
  core.set_timeout(target, nil) -- that was for the open; a conversation may be silent for long
  return target
end

---Passes on what this client and the target say, until one of them closes.
---@param conn userdata a connection
function Relay:talk(conn)
  local target <close> = connect(self, conn)
  if not target then
    return
  end
  local link = new_link(self, conn, target)
  self.links[link] = true
  self.count.connections = self.count.connections + 1
  link.see(link.id, "open")
  local back = pipe.spawn(pump, link, target, conn, "<", "server")
  pump(link, conn, target, ">", "client")
  back:wait()
  self.links[link] = nil
  target:close()
  self.over = self.over + 1
  if self.over == self.options.connections then
    self.done:set()
  end
end

---@param options pipehost.relay.options
---@return pipehost.relay
function M.new(options)
  return setmetatable({
    options = options, links = {}, messages = options.mode == "message" or options.frame ~= nil,
    count = { connections = 0, messages = 0 }, over = 0, done = pipe.event(),
  }, Relay)
end

---Listens on a pipe of its own.
---@return true?
---@return string? message
function Relay:listen(name)
  local options = self.options
  local ok, made = pcall(server.declare, {
    name = name, mode = options.mode, max_message = options.max_message, frame = options.frame,
    session = function(conn)
      self:talk(conn)
    end,
  })
  if not ok then
    return nil, made
  end
  self.server = made
  return true
end

---Runs until a signal, or as many connections as were asked for.
function Relay:wait()
  local signal = pipe.spawn(core.host.wait_signal)
  pipe.wait_any { self.done, signal }
  signal:cancel()
end

---"3 connections, 12 messages"
---@return string
function Relay:summary()
  return ("%s, %s"):format(show.count(self.count.connections, "connection"),
    show.count(self.count.messages, self.messages and "message" or "chunk"))
end

---Ends all connections.
function Relay:stop()
  for link in pairs(self.links) do
    link.over:set()
  end
  if self.server then
    self.server:stop(STOP_MS)
  end
  for link in pairs(self.links) do
    link.target:close()
  end
end

return M
