-- SPDX-License-Identifier: MIT
-- Writes what a relay sees into a file, event by event, so that what was recorded
-- is there whatever happens.
local format = require "pipehost.record.format"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local redact = require "pipehost.record.redact"
local relay = require "pipehost.relay"

---@class pipehost.recorder.options
---@field target string
---@field output string
---@field mode "message" | "byte"
---@field max_message? integer
---@field timeout? number ms for the target to be there
---@field protocol? pipehost.record.protocol
---@field redact? string[] fields
---@field connections? integer ends by itself after so many
---@field before? pipehost.record.recording whose events come first

---@class pipehost.recorder
---@field relay pipehost.relay
local Recorder = {}
Recorder.__index = Recorder

local M = {}

local function redacts(options)
  return options.redact and #options.redact > 0
end

local function header_of(options)
  local header = {
    pipe = options.target, mode = options.mode,
    system = package.config:sub(1, 1) == "\\" and "windows" or "linux",
  }
  if redacts(options) then
    header.redacted = table.concat(options.redact, " ")
  end
  return header
end

local function hidden(self, kind, bytes, conn)
  local options = self.options
  if not bytes or not redacts(options) then
    return bytes
  end
  local struct = options.protocol:decode(kind, bytes)
  if not struct then
    log.warn(("connection %d: a message of %d bytes fits no struct; nothing is hidden in it"):format(conn, #bytes))
    return bytes
  end
  return redact.hide(struct, bytes, options.redact)
end

-- An event as it happens.
function Recorder:see(conn, kind, bytes, by)
  self.begin = self.begin or pipe.now()
  if kind == "open" then
    self.numbers[conn] = self.first + self.relay.count.connections
  end
  local event = {
    ms = self.offset + pipe.now() - self.begin, conn = self.numbers[conn], kind = kind,
    bytes = hidden(self, kind, bytes, conn), by = by,
  }
  local ok, message = self.file:write(format.event_text(event))
  if ok then
    ok, message = self.file:flush()
  end
  if not ok and not self.broken then
    self.broken = message
    self.relay.done:set()
  end
end

-- What is recorded already, and where to go on.
local function begin_with(self, recording)
  if not recording then
    return self.file:write(format.header_text(header_of(self.options)))
  end
  for _, event in ipairs(recording.events) do
    self.offset, self.first = event.ms, math.max(self.first, event.conn)
  end
  return self.file:write(format.text(recording))
end

---A recorder that has its file and waits for connections: `relay` takes them.
---@param options pipehost.recorder.options
---@return pipehost.recorder?
---@return string? message
function M.new(options)
  local self = setmetatable({
    options = options, numbers = {}, offset = 0, first = 0,
  }, Recorder)
  local frame = redacts(options) and options.protocol.frame or nil
  self.relay = relay.new {
    target = options.target, mode = options.mode, max_message = options.max_message,
    timeout = options.timeout, frame = frame and frame.option, connections = options.connections,
    see = function(...)
      self:see(...)
    end,
  }
  local message
  self.file, message = io.open(options.output, "wb")
  if not self.file or not begin_with(self, options.before) or not self.file:flush() then
    return nil, ("cannot write %s"):format(message or options.output)
  end
  return self
end

---Ends all connections and the file.
---@return string? message what could not be written
function Recorder:stop()
  self.relay:stop()
  self.file:close()
  return self.broken and ("%s: %s"):format(self.options.output, self.broken)
end

return M
