-- Memory that a test keeps shows only when it is run again and again.
-- arguments: --repeat 8
local kept = {}
local tests = {}

function tests.test_1_grows()
  kept[#kept + 1] = ("x"):rep(1000) .. #kept
end

function tests.test_2_does_not()
  kept.last = ("x"):rep(1000)
end

local runs = 0
function tests.test_3_fails_in_its_third_run()
  runs = runs + 1
  assert(runs < 3, "the third one")
end

return tests
--[[ output:
not ok - growth.lua: test_1_grows
  growth.lua:6: Lua memory grew in each of the last 6 runs, by BYTES bytes a run
ok - growth.lua: test_2_does_not
not ok - growth.lua: test_3_fails_in_its_third_run
  growth.lua:17: the third one
  in run 3 of this test
seed 1
1 passed, 2 failed
]]
