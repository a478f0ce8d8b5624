-- The process of the file is killed in the middle: one failure, and the rest is
-- run in another one.
local core = require "pipehost.core"
local t = require "pipehost.test"

local tests = {}

function tests.test_1_before()
end

function tests.test_2_killed()
  print "the last words"
  if t.system == "windows" then
    os.execute(("taskkill /F /PID %d >NUL"):format(core.host.pid()))
  else
    os.execute(("kill -9 %d"):format(core.host.pid()))
  end
end

function tests.test_3_after()
end

return tests
--[[ output:
ok - lost.lua: test_1_before
not ok - lost.lua: test_2_killed
  lost.lua:11: its process KILLED in this test
  output:
  | the last words
ok - lost.lua: test_3_after
seed 1
2 passed, 1 failed
]]
