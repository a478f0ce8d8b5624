-- A call into the system that does not come back cannot be interrupted: the
-- process is ended, with all that it has started.
-- arguments: --timeout 300
local t = require "pipehost.test"

local tests = {}

function tests.test_1_stuck()
  local folder = t.files { ["wait.lua"] = 'require("pipehost").pipe.sleep(60000)' }
  local line = ('"%s" run "%s/wait.lua"'):format(t.program, folder)
  os.execute(t.system == "windows" and '"' .. line .. '"' or line)
end

function tests.test_2_after()
end

return tests
--[[ output:
not ok - stuck.lua: test_1_stuck
  stuck.lua:8: the process did not come back at the test's deadline: it hangs in a call that is not interrupted, such as os.execute
ok - stuck.lua: test_2_after
seed 1
1 passed, 1 failed
]]
