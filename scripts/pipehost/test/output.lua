-- SPDX-License-Identifier: MIT
-- What a program prints, taken in as it comes, and looked through in order.
local pipe = require "pipehost.pipe"

local EXPECT_MS = 5000
local SHOWN = 2000 -- bytes of it in a failure
local END_MS = 500 -- for a program to end that has closed what it prints to
local CHUNK = 65536

---@class pipehost.test.output
---@field stream userdata the pipe
---@field text string all of it so far; line ends are "\n" on both systems
---@field at integer where the next expect looks
---@field ended boolean nothing more comes
---@field grown userdata an event
---@field of pipehost.test.program
local Output = {}
Output.__index = Output

local M = {}

function Output:take(data)
  data = self.rest .. data
  self.rest = data:sub(-1) == "\r" and "\r" or ""
  self.text = self.text .. data:sub(1, #data - #self.rest):gsub("\r\n", "\n")
  self.grown:set()
end

local function pump(self)
  while true do
    local data = self.stream:read(CHUNK)
    if not data then
      break
    end
    self:take(data)
  end
  self.text, self.rest = self.text .. self.rest, ""
  self.ended = true
  self.grown:set()
end

---@param stream userdata
---@param of pipehost.test.program
---@return pipehost.test.output
function M.new(stream, of)
  local self = setmetatable({
    stream = stream, of = of, text = "", rest = "", at = 1, ended = false, grown = pipe.event(),
  }, Output)
  self.task = pipe.spawn(pump, self)
  return self
end

---The end of the text, for a failure.
---@return string
local function shown(text)
  local part = #text > SHOWN and "…" .. text:sub(-SHOWN) or text
  return part:gsub("\n$", ""):gsub("^", "  | "):gsub("\n", "\n  | ")
end

-- Why something did not come is often said on the other stream.
local function printed(self)
  local other = self.of.stderr
  local text = self.text == "" and "It printed nothing." or "It printed:\n" .. shown(self.text)
  if other and other ~= self and other.text ~= "" then
    text = text .. "\nOn stderr it printed:\n" .. shown(other.text)
  end
  return text
end

local function missed(self, pattern, ms)
  self.of.told = true
  local why = ("within %d ms"):format(ms)
  if self.ended then
    why = "to its end"
    self.of:wait(END_MS) -- it is about to end, or it has
  end
  return ("%s did not print '%s' %s; %s. %s"):format(self.of.title, pattern, why, self.of:state(), printed(self))
end

---Waits until what comes after the last match has the pattern.
---@param pattern string of Lua
---@param ms? number (5000)
---@return string ... captures, or what matched
function Output:expect(pattern, ms)
  ms = ms or EXPECT_MS
  local deadline = pipe.now() + ms
  while true do
    self.grown:reset()
    local found = table.pack(self.text:find(pattern, self.at))
    if found[1] then
      self.at = found[2] + 1
      if found.n > 2 then
        return table.unpack(found, 3, found.n)
      end
      return self.text:sub(found[1], found[2])
    end
    local left = deadline - pipe.now()
    if self.ended or left <= 0 then
      error(missed(self, pattern, ms), 0)
    end
    self.grown:wait(left)
  end
end

---Waits until nothing more comes.
---@param ms number
---@return boolean
function Output:finish(ms)
  return (pcall(self.task.wait, self.task, ms)) and self.ended
end

---The end, whoever still holds the other one.
function Output:close()
  self.task:cancel()
  pcall(self.task.wait, self.task)
  self.stream:close()
end

M.shown = shown

return M
