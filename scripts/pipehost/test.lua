-- SPDX-License-Identifier: MIT
-- require "pipehost.test" in a test file: luaunit's assertions under their own
-- names, and what tests of pipes need besides.
local core = require "pipehost.core"
local hex = require "pipehost.hex"
local luaunit = require "luaunit"
local pipe = require "pipehost.pipe"

local M = {}

for name, value in pairs(luaunit) do
  if type(value) == "function" and name:match("^assert") then
    M[name] = value
  end
end

-- Lua's own seed may be the same in two processes of one second: the clock, and
-- where there is one the mark of the run, tell them apart.
local counter = 0
local run = ("%s%x"):format(os.getenv "PH_TEST_MARK" or "", pipe.now() * 1000 // 1 | 0)

---A fresh pipe name.
---@return string
function M.name()
  counter = counter + 1
  return ("ph-test-%s-%x-%d"):format(run, math.random(1 << 24), counter)
end

---Ends the test as skipped, with its reason.
---@param reason string
function M.skip(reason)
  error({ skipped = reason }, 0)
end

---The bytes are equal, or both are shown in hex.
---@param got string
---@param expected string
function M.equal_bytes(got, expected)
  if got ~= expected then
    error(("bytes differ\n  expected %s\n  got      %s"):format(hex.line(expected, 64), hex.line(got, 64)), 2)
  end
end

---Calls fn every 5 ms until it returns something true, at most `ms` (2000).
---@generic T
---@param fn fun(): T
---@param ms? number
---@return T
function M.eventually(fn, ms)
  local deadline = pipe.now() + (ms or 2000)
  repeat
    local value = fn()
    if value then
      return value
    end
    pipe.sleep(5)
  until pipe.now() > deadline
  error("did not come true in time", 2)
end

---"linux" or "windows".
M.system = package.config:sub(1, 1) == "\\" and "windows" or "linux"

return setmetatable(M, { __index = core.index(M, "pipehost.test") })
