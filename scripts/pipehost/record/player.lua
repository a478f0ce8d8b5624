-- SPDX-License-Identifier: MIT
-- Plays one end of one recorded connection on an open pipe.
local compare = require "pipehost.record.compare"
local hex = require "pipehost.hex"
local pipe = require "pipehost.pipe"

local CHUNK = 65536

---@class pipehost.record.player.options
---@field messages boolean the pipe has messages
---@field frame? pipehost.record.frame
---@field matching pipehost.record.matching
---@field timeout? number ms for each thing that is expected
---@field recorded_time? boolean wait as long as it took
---@field see? fun(kind: string, bytes?: string) what really happens

---@class pipehost.record.failure
---@field text string
---@field details? string lines
---@field turn? pipehost.record.turn
---@field connection? pipehost.record.connection
---@field code? string

local Player = {}
Player.__index = Player

local peers = { [">"] = "the client", ["<"] = "the server" }

local function failure(turn, code, details, message, ...)
  return { text = message:format(...), code = code, details = details, turn = turn }
end

local function size_text(bytes)
  return ("%d byte%s"):format(#bytes, #bytes == 1 and "" or "s")
end

-- What did not come, and why.
local function nothing(self, turn, code, info)
  local why = info.message
  if code == "timeout" then
    why = ("nothing came within %g ms"):format(self.options.timeout)
  elseif code == "closed" then
    why = peers[turn.direction] .. " has closed"
  end
  local details = "  expected  " .. hex.line(turn.bytes)
  if self.buffer ~= "" then
    details = details .. "\n  so far    " .. hex.line(self.buffer)
  end
  return failure(turn, code, details, "expected %s from %s, but %s", size_text(turn.bytes), peers[turn.direction], why)
end

local function difference(self, turn, expected, got)
  local lines = compare.difference(self.options.matching, turn.direction, expected, got)
  return lines and failure(turn, "protocol", lines, "%s sent something else", peers[turn.direction])
end

-- Reading: data, or nil and a failure ----------------------------------------------

local function receive(self, turn)
  local data, code, info = self.conn:receive(self.options.timeout)
  if not data then
    return nil, nothing(self, turn, code, info)
  end
  return data
end

-- A part of a stream: compared as it comes, so that a difference shows at once and
-- not when nothing more comes.
local function receive_part(self, turn)
  while #self.buffer < #turn.bytes do
    local data, code, info = self.conn:read(#turn.bytes - #self.buffer, self.options.timeout)
    if not data then
      return nil, nothing(self, turn, code, info)
    end
    self.buffer = self.buffer .. data
    local wrong = difference(self, turn, turn.bytes:sub(1, #self.buffer), self.buffer)
    if wrong then
      return nil, wrong
    end
  end
  local data = self.buffer:sub(1, #turn.bytes)
  self.buffer = self.buffer:sub(#turn.bytes + 1)
  return data
end

local function receive_framed(self, turn)
  while true do
    local last = self.options.frame.next(self.buffer, 1)
    if last then
      local data = self.buffer:sub(1, last)
      self.buffer = self.buffer:sub(last + 1)
      return data
    end
    local data, code, info = self.conn:read(CHUNK, self.options.timeout)
    if not data then
      return nil, nothing(self, turn, code, info)
    end
    self.buffer = self.buffer .. data
  end
end

-- Turns: nil when all is well, or a failure -----------------------------------------

local kinds = {}

function kinds.expect(self, turn)
  local read = self.options.messages and receive or turn.framed and receive_framed or receive_part
  local data, wrong = read(self, turn)
  if not data then
    return wrong
  end
  self.see(turn.direction, data)
  return difference(self, turn, turn.bytes, data)
end

function kinds.send(self, turn)
  self.see(turn.direction, turn.bytes)
  local send = self.options.messages and self.conn.send or self.conn.write
  local ok, code, info = send(self.conn, turn.bytes, self.options.timeout)
  if not ok then
    return failure(turn, code, nil, "sending %s: %s", size_text(turn.bytes), info.message)
  end
end

-- Whatever is there, or comes in time.
local function read_any(self, ms)
  if self.buffer ~= "" then
    return self.buffer
  elseif self.options.messages then
    return self.conn:receive(ms)
  end
  return self.conn:read(CHUNK, ms)
end

-- What the other end may have sent meanwhile is not looked at: whether it is here
-- already is a matter of chance.
function kinds.close(self)
  self.see("close", nil, true)
  self.conn:close()
end

function kinds.expect_close(self, turn)
  local data, code, info = read_any(self, self.options.timeout)
  if data then
    return failure(turn, "protocol", "  got  " .. hex.line(data), "here the other end closed, but now it sent %s",
      size_text(data))
  elseif code == "timeout" then
    return failure(turn, code, nil, "here the other end closed, but it is still open after %g ms", self.options.timeout)
  elseif code ~= "closed" then
    return failure(turn, code, nil, "here the other end closed: %s", info.message)
  end
  self.see("close", nil, false)
end

-- Waits, when time is to pass as recorded, until it is this turn's.
local function keep_time(self, turn, connection)
  if self.options.recorded_time and (turn.kind == "send" or turn.kind == "close") then
    pipe.sleep(math.max(self.begin + turn.ms - connection.ms - pipe.now(), 0))
  end
end

---Plays all turns; the first that goes wrong is the result.
---@param conn userdata
---@param connection pipehost.record.connection
---@param options pipehost.record.player.options
---@return pipehost.record.failure?
---@return integer played number of turns that went well
return function(conn, connection, options)
  local self = setmetatable({
    conn = conn, options = options, buffer = "", begin = pipe.now(), see = options.see or function() end,
  }, Player)
  for i, turn in ipairs(connection.turns) do
    keep_time(self, turn, connection)
    local wrong = kinds[turn.kind](self, turn)
    if wrong then
      wrong.connection = connection
      return wrong, i - 1
    end
  end
  return nil, #connection.turns
end
