-- A wait without end: the deadline ends it at its line, and what is to be closed
-- and undone is. The other tests go on.
-- arguments: --timeout 300
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

local function closing(what)
  return setmetatable({}, {
    __close = function()
      print("closed " .. what)
    end,
  })
end

function tests.test_1_before()
end

function tests.test_2_hangs()
  local variable <close> = closing "variable" -- luacheck: ignore 211
  t.defer(function()
    print "undone first"
  end)
  t.defer(function()
    pipe.sleep(1)
    print "undone last"
  end)
  pipe.event():wait()
end

function tests.test_3_in_a_helper()
  local server <close> = assert(pipe.create(t.name()))
  server:connect()
end

function tests.test_4_ignores_the_end()
  while true do
    pcall(pipe.sleep, 10)
  end
end

function tests.test_5_after()
end

function tests.teardown()
  pipe.sleep(1)
end

return tests
--[[ output:
ok - hang.lua: test_1_before
not ok - hang.lua: test_2_hangs
  hang.lua:29: not done after 300 ms: it was waiting here
  output:
  | closed variable
  | undone last
  | undone first
not ok - hang.lua: test_3_in_a_helper
  hang.lua:34: not done after 300 ms: it was waiting here
not ok - hang.lua: test_4_ignores_the_end
  hang.lua:39: budget: the script computed longer than 150 ms without waiting
ok - hang.lua: test_5_after
seed 1
2 passed, 3 failed
]]
