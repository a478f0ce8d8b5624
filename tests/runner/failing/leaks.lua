-- What a test leaves behind fails it, by name and place; the next one begins clean.
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}
local kept = {}

function tests.test_1_a_pipe()
  kept.pipe = assert(pipe.create(t.name()))
end

function tests.test_2_an_operation()
  local server = assert(pipe.create(t.name()))
  kept.client = assert(pipe.open(server:info().name))
  kept.op = kept.client:receive_op()
  server:close()
  kept.client:close()
end

function tests.test_3_an_operation_on_an_open_pipe()
  kept.server = assert(pipe.create(t.name()))
  kept.op = kept.server:connect_op()
end

function tests.test_4_a_coroutine()
  pipe.spawn(function()
    pipe.sleep(60000)
  end)
end

function tests.test_5_a_child_process()
  local folder = t.files { ["wait.lua"] = 'require("pipehost").pipe.sleep(60000)' }
  kept.process = assert(core.process { t.program, "run", folder .. "/wait.lua" })
end

function tests.test_6_nothing()
  local server <close> = assert(pipe.create(t.name()))
  local op <close> = server:connect_op() -- luacheck: ignore 211
  pipe.spawn(function() end)
end

return tests
--[[ output:
not ok - leaks.lua: test_1_a_pipe
  leaks.lua:10: left behind by the test:
    pipe NAME, made at leaks.lua:10
ok - leaks.lua: test_2_an_operation
not ok - leaks.lua: test_3_an_operation_on_an_open_pipe
  leaks.lua:22: left behind by the test:
    pipe NAME, made at leaks.lua:22
    connect of pipe NAME (pending), made at leaks.lua:23
not ok - leaks.lua: test_4_a_coroutine
  leaks.lua:27: left behind by the test:
    coroutine that is at leaks.lua:28, made at leaks.lua:27
not ok - leaks.lua: test_5_a_child_process
  leaks.lua:34: left behind by the test:
    process PROGRAM, made at leaks.lua:34
ok - leaks.lua: test_6_nothing
seed 1
2 passed, 4 failed
]]
