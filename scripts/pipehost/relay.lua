-- SPDX-License-Identifier: MIT
-- Stands between clients and a server: each client of a pipe gets a connection of
-- its own to another pipe, and what one end says goes to the other. Nothing is
-- changed; `see` is told of it.
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local server = require "pipehost.server"

local CHUNK = 65536
local STOP_MS = 1000

---@class pipehost.relay.options
---@field target string
---@field mode "message" | "byte"
---@field max_message? integer
---@field timeout? number ms for the target to be there
---@field frame? any of byte pipes: whole messages are passed
---@field see fun(conn: integer, kind: string, bytes?: string, by?: string) an event, as it happens
---@field gone? fun(conn: integer) the connection is over

---@class pipehost.relay
---@field server? pipehost.server
---@field links table<table, true>
local Relay = {}
Relay.__index = Relay

local M = {}

-- One client and its connection to the target.
local function new_link(relay, conn, target)
  return {
    id = conn.id, client = conn, target = target, messages = relay.messages, see = relay.options.see,
    over = pipe.event(),
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

local function read(link, from)
  local op = link.messages and from:receive_op() or from:read_op(CHUNK)
  local done = pipe.wait_any { op, link.over }
  if done ~= op then
    op:cancel()
    op:wait()
  end
  return op:result()
end

-- Passes on what comes from one end until it has closed. Where the other end takes
-- nothing any more, it has closed, and its own reader will say so.
local function pump(link, from, to, kind, by)
  while true do
    local data, code, info = read(link, from)
    if code == "cancelled" then
      return
    elseif not data then
      return finish(link, by, code, info)
    end
    link.see(link.id, kind, data)
    if not (link.messages and to:send(data) or not link.messages and to:write(data)) then
      return
    end
  end
end

local function connect(relay, conn)
  local options = relay.options
  local target, _, info = pipe.open(options.target, {
    mode = options.mode, timeout = options.timeout, max_message = options.max_message, frame = options.frame,
  })
  if not target then
    log.error(("connection %d: %s"):format(conn.id, info))
    relay.failed = info
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
  link.see(link.id, "open")
  local back = pipe.spawn(pump, link, target, conn, "<", "server")
  pump(link, conn, target, ">", "client")
  back:wait()
  self.links[link] = nil
  target:close()
end

---@param options pipehost.relay.options
---@return pipehost.relay
function M.new(options)
  return setmetatable({
    options = options, links = {}, messages = options.mode == "message" or options.frame ~= nil,
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
      if options.gone then
        options.gone(conn.id)
      end
    end,
  })
  if not ok then
    return nil, made
  end
  self.server = made
  return true
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
