-- Loops without end.
-- arguments: --timeout 400
local pipehost = require "pipehost"
local t = require "pipehost.test"

local tests = {}

function tests.test_1_loops()
  local n = 0
  while true do
    n = n + 1
  end
end

function tests.test_2_not_to_be_caught()
  while true do
    pcall(function()
      while true do end
    end)
  end
end

function tests.test_3_in_the_library_of_c()
  return ("x"):rep(60):find(("x*"):rep(30) .. "y")
end

function tests.test_4_a_handler_has_its_own_limit()
  local server = t.server { on_message = function()
    while true do end
  end }
  local reply, code = pipehost.pipe.call(server.name, "x", { timeout = 5000 })
  t.assertNil(reply)
  t.assertEquals(code, "closed")
end

return tests
--[[ output:
not ok - loop.lua: test_1_loops
  loop.lua:11: budget: the script computed longer than 200 ms without waiting
not ok - loop.lua: test_2_not_to_be_caught
  loop.lua:18: budget: the script computed longer than 200 ms without waiting
not ok - loop.lua: test_3_in_the_library_of_c
  loop.lua:24: budget: the script computed longer than 200 ms without waiting
ok - loop.lua: test_4_a_handler_has_its_own_limit
seed 1
1 passed, 3 failed
]]
