-- SPDX-License-Identifier: MIT
-- require "pipehost.test" in a test file: luaunit's assertions under their own
-- names, and what tests of pipes need besides.
local context = require "pipehost.test.context"
local core = require "pipehost.core"
local files = require "pipehost.test.files"
local fixture = require "pipehost.test.fixture"
local hex = require "pipehost.hex"
local faults = require "pipehost.test.faults"
local exit = os.exit
local luaunit = require "luaunit"
os.exit = exit -- luaunit has put its own there
local names = require "pipehost.test.names"
local pipe = require "pipehost.pipe"
local program = require "pipehost.test.program"

local M = {
  name = names.fresh,
  server = fixture.server, client = fixture.client, reload = fixture.reload,
  spawn = program.start,
  faults = faults.faults, exhaust = faults.exhaust,
  exclusive = require "pipehost.test.exclusive",
  tmpdir = files.tmpdir, files = files.files,
}

for name, value in pairs(luaunit) do
  if type(value) == "function" and name:match("^assert") then
    M[name] = value
  end
end

---Ends the test as skipped, with its reason.
---@param reason string
function M.skip(reason)
  error({ skipped = reason }, 0)
end

---The bytes are equal, or both are shown in hex, side by side.
---@param got string
---@param expected string
function M.equal_bytes(got, expected)
  if type(got) ~= "string" or type(expected) ~= "string" then
    error(("equal_bytes: bytes are strings, these are a %s and a %s"):format(type(got), type(expected)), 2)
  elseif got ~= expected then
    error(("the bytes differ: %d were expected, %d came\n%s"):format(#expected, #got,
      hex.side_by_side(expected, got)), 2)
  end
end

---Calls fn every 5 ms until it returns something true, at most `ms` (2000).
---@generic T
---@param fn fun(): T
---@param ms? number
---@return T
function M.eventually(fn, ms)
  local deadline = pipe.now() + (ms or 2000)
  while true do
    local value = fn()
    if value then
      return value
    elseif pipe.now() > deadline then
      error(("not true within %d ms"):format(ms or 2000), 2)
    end
    pipe.sleep(5)
  end
end

---Has fn called when the test ends, however it ends; the last one first.
---@param fn fun()
function M.defer(fn)
  if type(fn) ~= "function" then
    error("t.defer: takes a function", 2)
  end
  context.current():defer(fn)
end

---"linux" or "windows".
M.system = package.config:sub(1, 1) == "\\" and "windows" or "linux"
---The folder of the test file.
M.folder = context.settings.folder
---The pipehost that runs the test.
M.program = core.host and core.host.program()

return setmetatable(M, { __index = core.index(M, "pipehost.test") })
