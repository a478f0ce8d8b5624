-- setup and teardown that fail; what was set up is torn down, whatever happens.
local t = require "pipehost.test"

local tests = {}
local calls = {}

function tests.setup()
  calls[#calls + 1] = "setup"
  if #calls == 1 then
    error "cannot set up"
  end
end

function tests.teardown()
  calls[#calls + 1] = "teardown"
  if #calls == 7 then
    error "cannot tear down"
  end
end

function tests.test_1_is_not_run()
  calls[#calls + 1] = "never"
end

function tests.test_2_fails()
  error "in the test"
end

function tests.test_3_passes()
  t.assertEquals(calls, { "setup", "setup", "teardown", "setup" })
end

function tests.test_4_teardown_fails()
end

return tests
--[[ output:
not ok - setup.lua: test_1_is_not_run
  setup.lua:10: cannot set up
not ok - setup.lua: test_2_fails
  setup.lua:26: in the test
ok - setup.lua: test_3_passes
not ok - setup.lua: test_4_teardown_fails
  setup.lua:17: cannot tear down
seed 1
1 passed, 3 failed
]]
