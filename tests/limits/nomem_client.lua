-- SPDX-License-Identifier: MIT
-- For n = FIRST, FIRST + STEP, …: a client of nomem.lua comes, asks twice and
-- goes, while the n-th allocation fails; then another one, while none fails.
-- Ends when none was reached for some time, and prints the last that was.
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local config = pipehost.config
local name, first, step = config.name, tonumber(config.first), tonumber(config.step)
local options = { mode = "message", timeout = 20000 }
local LAST = 10 -- in a row that were not reached: the collector makes them vary
local GOOD = "X1(X)"

local arming
local function arm(n)
  for _ = 1, 2 do
    arming = arming or assert(pipe.open(name .. "-arm", options))
    local reply, code = arming:transact(tostring(n))
    if reply then
      return reply == "failed"
    end
    -- It was the request to stop that was hit.
    assert(code == "closed", code)
    arming:close()
    arming = nil
  end
  error "the pipe that arms is closed again and again"
end

-- A reply or the end of the connection, but no silence.
local function visit(kind)
  local conn = assert(pipe.open(name .. kind, options))
  for _ = 1, 2 do
    local ok, code = conn:send "x"
    local reply = nil
    if ok then
      reply, code = conn:receive()
    end
    assert(reply == GOOD or code == "closed", reply or code)
  end
  conn:close()
  pipe.sleep(1)
end

for _, kind in ipairs { "", "-session" } do
  local n, missed, last = first, 0, 0
  repeat
    arm(n)
    visit(kind)
    if arm(0) then
      last, missed = n, 0
    else
      missed = missed + 1
    end
    local conn = assert(pipe.open(name .. kind, options))
    assert(assert(conn:transact "x") == GOOD)
    conn:close()
    n = n + step
  until missed == LAST
  print(last)
end
