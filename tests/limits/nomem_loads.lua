-- SPDX-License-Identifier: MIT
-- Reloads nomem.lua, and for n = FIRST, FIRST + STEP, … the n-th allocation of
-- the new state fails, until a load does not reach it. A client stays, and must
-- be answered after each of them.
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local config = pipehost.config
local LAST = 10 -- loads in a row that did not fail
local options = { mode = "message", timeout = 60000, max_message = 262144 }

local function open(name)
  return assert(pipe.open(name, options))
end

local conn, control, arming = open(config.name), open(config.control), open(config.name .. "-arm")
assert(conn:transact "x")

-- A state whose memory fails after its commit may lose its client, not the next.
local function is_served()
  local reply, code = conn:transact "x"
  if reply == "X1(X)" then
    return true
  end
  assert(code == "closed", reply or code)
  conn:close()
  conn = open(config.name)
  assert(assert(conn:transact "x") == "X1(X)")
end

-- The state that is made next; this connection may have been lost too.
local function arm(n)
  if not arming:transact(n .. " load") then
    arming:close()
    arming = open(config.name .. "-arm")
    assert(arming:transact(n .. " load"))
  end
end

local n, failed, made, in_a_row = tonumber(config.first), 0, 0, 0
repeat
  arm(n)
  n = n + tonumber(config.step)
  local reply = assert(control:transact "reload\nforce=yes")
  local status, message = reply:match "^(%d+)\n(.*)"
  if status == "0" then
    made, in_a_row = made + 1, in_a_row + 1
    is_served()
  else
    failed, in_a_row = failed + 1, 0
    assert(message:find "memory", message)
    assert(is_served(), "the client of the old generation was lost: " .. message)
  end
until in_a_row == LAST
print(("%d failed, %d were made"):format(failed, made))
