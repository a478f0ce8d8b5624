-- SPDX-License-Identifier: MIT
-- What `pipehost connect` does once the pipe is open: lines of the input go out
-- while what comes in is shown, until one of them ends.
local core = require "pipehost.core"
local hex = require "pipehost.hex"
local pipe = require "pipehost.pipe"

local TRACED = 256 -- bytes of a message that -v shows

---@class pipehost.connect.session
---@field conn userdata
---@field format pipehost.connect.format
---@field framing "message" | "line" | "struct" | "chunk"
---@field size? integer bytes, of a struct
---@field ms? number for each write, and for the next reply when one is awaited
---@field ask boolean each line is answered before the next one is sent
---@field send_only boolean
---@field terminal boolean somebody types and reads
---@field verbose boolean
local Session = {}
Session.__index = Session

---@return pipehost.connect.session
function Session.new(fields)
  fields.sent, fields.received = 0, 0
  fields.arrived = pipe.event()
  return setmetatable(fields, Session)
end

-- Output -------------------------------------------------------------------------

function Session:prompt()
  if self.terminal then
    io.stdout:write(self.name, "> ")
    io.stdout:flush()
  end
end

function Session:trace(mark, bytes)
  if self.verbose then
    io.stderr:write(mark, " ", hex.line(bytes, TRACED), "\n")
  end
end

function Session:show(bytes)
  self:trace("<", bytes)
  if self.terminal then
    io.stdout:write("\r", (" "):rep(#self.name + 2), "\r")
  end
  local raw = self.framing == "chunk" and self.raw
  io.stdout:write(self.format.show(bytes), raw and "" or "\n")
  io.stdout:flush()
  self:prompt()
end

-- From the pipe -------------------------------------------------------------------

function Session:receive()
  local conn = self.conn
  if self.framing == "message" then
    return conn:receive()
  elseif self.framing == "line" then
    return conn:read_line()
  elseif self.framing == "struct" then
    return conn:read_exact(self.size)
  end
  return conn:read()
end

-- Ends with the code and info of the receive that failed.
function Session:read_all()
  while true do
    local bytes, code, info = self:receive()
    if not bytes then
      return code, info
    end
    self.received = self.received + 1
    self:show(bytes)
    self.arrived:set()
  end
end

-- From the input ------------------------------------------------------------------

-- An iterator over its lines, or its chunks as they are; a last line needs no end.
function Session:units(input)
  local rest, from, ended = "", 1, false
  local function next_line()
    local at = rest:find("\n", from, true)
    if not at and not (ended and from <= #rest) then
      return nil
    end
    local line = rest:sub(from, (at or 0) - 1)
    from = (at or #rest) + 1
    return at and line:gsub("\r$", "") or line
  end
  return function()
    while true do
      local line = next_line()
      if line or ended then
        return line
      end
      local bytes = input:read()
      if bytes and self.raw then
        return bytes
      end
      ended = not bytes
      rest, from = rest:sub(from) .. (bytes or ""), 1
    end
  end
end

-- True, or nil and the code.
function Session:await(count)
  while self.received < count do
    self.arrived:reset()
    local which = pipe.wait_any({ self.arrived, self.reader }, self.ms)
    if which == self.reader then
      return nil, "closed"
    elseif not which then
      return nil, "timeout", ("no reply within %g ms"):format(self.ms)
    end
  end
  return true
end

function Session:send(bytes)
  if self.framing == "line" then
    bytes = bytes .. "\n"
  end
  self:trace(">", bytes)
  self.sending = true
  local ok, code, info = self.conn:write(bytes, self.ms)
  if ok then
    self.sent = self.sent + 1
    if self.ask then
      ok, code, info = self:await(self.sent)
    end
  end
  self.sending = false
  return ok, code, info
end

-- True at the end of the input; nil, code, info · nil, "input", message.
function Session:send_all(input)
  local number = 0
  self:prompt()
  for line in self:units(input) do
    number = number + 1
    local bytes, why = self.format.encode(line)
    if bytes then
      local ok, code, info = self:send(bytes)
      if not ok then
        return nil, code, info
      end
    elseif why and not self.terminal then
      return nil, "input", ("line %d of the input: %s"):format(number, why)
    elseif why then
      io.stderr:write(why, "\n")
    end
    self:prompt()
  end
  return true
end

-- The input has ended: what may still come as a reply?
function Session:finish()
  if self.terminal then
    io.stdout:write "\n"
    return true
  elseif self.send_only then
    return self.conn:flush(self.ms)
  end
  -- Who has said nothing, or says bytes without an end, listens to the end.
  local counts = self.framing ~= "chunk" and self.sent > 0
  local ok, code, info = self:await(counts and self.sent or math.huge)
  if not ok and code == "closed" and not self.ask then
    return true
  end
  return ok, code, info
end

-- The pipe has ended before the input. From one that only takes nothing has come:
-- there the input goes on, and fails if the other end has really gone.
function Session:pipe_ended(writer)
  local _, code, info = self.reader:wait()
  if code == "closed" and (self.terminal or self.received > 0 and not self.ask and not self.sending) then
    return true
  elseif code == "closed" or code == "denied" then
    self.send_only = not self.ask
    return select(2, writer:wait())
  end
  return nil, code, info
end

---Until the input or the pipe ends.
---@return true? ok
---@return string? code
---@return any info something that tostring makes a sentence
function Session:run()
  local input = assert(core.host.input())
  core.set_timeout(self.conn, nil)
  self.reader = pipe.spawn(self.read_all, self)
  local writer = pipe.spawn(function()
    local ok, code, info = self:send_all(input)
    if not ok then
      return nil, code, info
    end
    return self:finish()
  end)
  local ok, code, info
  if pipe.wait_any { writer, self.reader } == writer then
    ok, code, info = select(2, writer:wait())
  else
    ok, code, info = self:pipe_ended(writer)
  end
  writer:cancel()
  self.reader:cancel()
  input:close()
  return ok, code, info
end

return Session
