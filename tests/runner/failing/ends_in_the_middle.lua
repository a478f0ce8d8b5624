-- Not run as a test file: run by `pipehost run` in place of the process of one, it
-- says that there are three tests and ends with status 0 in the second one.
local channel = require "pipehost.runner.channel"
local pipe = require "pipehost.pipe"

local name
for i, word in ipairs(arg) do
  name = word == "--channel" and arg[i + 1] or name
end
local to = channel.new(assert(pipe.open(name, { mode = "byte", timeout = 10000 })))
to:send { kind = "loaded", tests = { { name = "test_1", line = 1 }, { name = "test_2", line = 2 }, { name = "test_3", line = 3 } } }
while true do
  local frame = to:receive()
  if frame.quit then
    return os.exit(0) -- without its closing record
  elseif frame.run == "test_2" then
    return os.exit(0)
  end
  to:send { kind = "result", outcome = "passed", ms = 1, memory = 1 }
end
--[[ output:
ok - ends_in_the_middle.lua: test_1
not ok - ends_in_the_middle.lua: test_2
  ends_in_the_middle.lua:2: its process KILLED in this test
ok - ends_in_the_middle.lua: test_3
not ok - ends_in_the_middle.lua
  its process ended with status 0 without its closing record
seed 1
2 passed, 2 failed
]]
