-- SPDX-License-Identifier: MIT
-- What the runner and the process of a test file say to each other, over a byte
-- pipe of their own: each frame is a length and a table as a Lua literal.
local M = {}

---@class pipehost.runner.channel
---@field pipe userdata
---@field size? integer of the frame whose length has come
local Channel = {}
Channel.__index = Channel

local literal

local function entries(value)
  local parts = {}
  for key, inner in pairs(value) do
    parts[#parts + 1] = ("[%s]=%s"):format(literal(key), literal(inner))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function literal(value)
  if type(value) == "table" then
    return entries(value)
  end
  return ("%q"):format(value)
end

---@param pipe userdata a byte pipe
---@return pipehost.runner.channel
function M.new(pipe)
  return setmetatable({ pipe = pipe }, Channel)
end

---@param frame table plain data without cycles
---@return true?
---@return string? code
---@return table? info
function Channel:send(frame)
  return self.pipe:write(string.pack("<s4", literal(frame)))
end

---The next frame. What came before a time-out is kept for the next call.
---@param ms? number
---@return table?
---@return string? code
---@return table? info
function Channel:receive(ms)
  local bytes, code, info
  if not self.size then
    bytes, code, info = self.pipe:read_exact(4, ms)
    if not bytes then
      return nil, code, info
    end
    self.size = string.unpack("<I4", bytes)
  end
  bytes, code, info = self.pipe:read_exact(self.size, ms)
  if not bytes then
    return nil, code, info
  end
  self.size = nil
  return load("return " .. bytes, "=frame", "t", {})()
end

return M
