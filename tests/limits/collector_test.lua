-- SPDX-License-Identifier: MIT
-- The collector takes small steps, so that no message waits for a whole round.
local t = require "pipehost.test"

local tests = {}

local LIVE = 40000 -- strings
local MOST_AT_ONCE = 512 -- KB

-- The most memory, in KB, that one allocation gives back, over some rounds.
local function longest_step()
  local live, longest, rounds = {}, 0, 0
  for i = 1, LIVE do live[i] = ("x"):rep(64 + i % 32) end
  local before, sweeping = collectgarbage "count", false
  for i = 1, 10 * LIVE do
    local _ = ("y"):rep(64 + i % 32)
    local now = collectgarbage "count"
    local given = before - now
    longest = math.max(longest, given)
    if given > 0 and not sweeping then rounds = rounds + 1 end
    sweeping, before = given > 0, now
  end
  return longest, rounds, #live
end

function tests.test_a_step_is_small()
  local longest, rounds, live = longest_step()
  t.assertEquals(live, LIVE)
  t.assertTrue(rounds > 1)
  t.assertTrue(longest < MOST_AT_ONCE, ("%.0f KB were collected at once"):format(longest))
end

function tests.test_lua_s_own_step_is_not()
  collectgarbage("incremental", 0, 100, 13)
  local longest = longest_step()
  collectgarbage("incremental", 0, 20, 10)
  t.assertTrue(longest > MOST_AT_ONCE, ("only %.0f KB were collected at once"):format(longest))
end

return tests
