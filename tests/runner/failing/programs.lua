-- Tests whose program has crashed, and says why; and one that has not.
local t = require "pipehost.test"

local tests = {}

local function run(...)
  return assert(t.spawn { t.program, "run", ... })
end

function tests.test_1_it_has_crashed()
  t.assertEquals(run("no_such_script.lua"):wait(20000), 0)
end

function tests.test_2_it_says_so_already()
  run("no_such_script.lua"):expect("something", 20000)
end

function tests.test_3_it_was_killed()
  local program = run(t.folder .. "/helper.lua")
  program:kill()
  program:wait(20000)
  error "for another reason"
end

return tests

--[[ output:
not ok - programs.lua: test_1_it_has_crashed
  programs.lua:11: expected: 0, actual: 65
  PROGRAM: it has ended with status 65, and said:
    | pipehost: no_such_script.lua: there is no such script
not ok - programs.lua: test_2_it_says_so_already
  programs.lua:15: PROGRAM did not print 'something' to its end; it has ended with status 65. It printed nothing.
  On stderr it printed:
    | pipehost: no_such_script.lua: there is no such script
not ok - programs.lua: test_3_it_was_killed
  programs.lua:22: for another reason
seed 1
0 passed, 3 failed
]]
