-- SPDX-License-Identifier: MIT
-- Waits in the coroutines that a script makes itself.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_wait_inside_coroutine_wrap_suspends_the_whole_task()
  local server, client = ends.pair()
  local co = coroutine.wrap(function(first)
    local got = first
    while true do
      local message = assert(server:receive(5000))
      got = coroutine.yield(got .. message)
    end
  end)
  local sender = pipe.spawn(function()
    for i = 1, 3 do
      pipe.sleep(5)
      assert(client:send("<" .. i .. ">"))
    end
  end)
  t.assertEquals(co "a", "a<1>")
  t.assertEquals(co "b", "b<2>")
  t.assertEquals(co "c", "c<3>")
  ends.join(sender)
end

function tests.test_wait_inside_nested_coroutines()
  local function nested(depth)
    if depth == 0 then
      pipe.sleep(2)
      return "bottom"
    end
    local ok, value = coroutine.resume(coroutine.create(nested), depth - 1)
    t.assertTrue(ok, value)
    return value
  end
  t.assertEquals(nested(20), "bottom")
end

function tests.test_plain_yields_are_the_scripts_own()
  local co = coroutine.create(function(a)
    local b = coroutine.yield(a + 1)
    pipe.sleep(1)
    local c = coroutine.yield(b + 1)
    pipe.sleep(1)
    return c + 1
  end)
  t.assertEquals({ coroutine.resume(co, 1) }, { true, 2 })
  t.assertEquals(coroutine.status(co), "suspended")
  t.assertEquals({ coroutine.resume(co, 10) }, { true, 11 })
  t.assertEquals({ coroutine.resume(co, 20) }, { true, 21 })
  t.assertEquals(coroutine.status(co), "dead")
  t.assertEquals({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
  local list = {}
  for value in coroutine.wrap(function()
    for i = 1, 3 do
      pipe.sleep(0)
      coroutine.yield(i)
    end
  end) do
    list[#list + 1] = value
  end
  t.assertEquals(list, { 1, 2, 3 })
end

function tests.test_errors_in_coroutines_of_scripts()
  local co = coroutine.create(function()
    pipe.sleep(1)
    error "inside"
  end)
  local ok, message = coroutine.resume(co)
  t.assertFalse(ok)
  t.assertStrContains(message, "inside")
  ends.raises("inside", coroutine.wrap(function()
    pipe.sleep(1)
    error "inside"
  end))
  ends.raises("coroutine expected", coroutine.resume, 5)
end

function tests.test_a_wait_where_none_can_be_raises_clearly()
  local server = ends.pair()
  local part = "table.sort, string.gsub"
  ends.raises(part, table.sort, { 3, 1, 2 }, function(a, b)
    pipe.sleep(1)
    return a < b
  end)
  ends.raises(part, string.gsub, "abc", ".", function()
    return server:receive(1000)
  end)
  ends.raises(part, string.gsub, "abc", ".", function()
    coroutine.wrap(pipe.sleep)(1)
  end)
  ends.raises(part, tostring, setmetatable({}, {
    __tostring = function()
      return pipe.event():wait(10) and "set" or "not set"
    end,
  }))
  -- What need not wait may be done there.
  t.assertEquals(("ab"):gsub(".", function(c)
    local event = pipe.event()
    event:set()
    return event:wait() and c:upper()
  end), "AB")
end

function tests.test_the_coroutine_of_a_task_is_the_loops()
  local co
  local task = pipe.spawn(function()
    co = coroutine.running()
    pipe.sleep(20)
    return "slept"
  end)
  pipe.sleep(1)
  t.assertEquals({ coroutine.resume(co, "early") }, { false, "cannot resume the coroutine of a task" })
  t.assertEquals({ coroutine.close(co) }, { false, "cannot close the coroutine of a task" })
  t.assertEquals({ task:wait(5000) }, { true, "slept" })
end

function tests.test_a_coroutine_that_waits_is_its_tasks()
  local co = coroutine.create(function()
    pipe.sleep(20)
    return "slept"
  end)
  local task = pipe.spawn(coroutine.resume, co)
  pipe.sleep(1)
  local waits = "a coroutine that waits for a pipe"
  t.assertEquals({ coroutine.resume(co, "early") }, { false, "cannot resume " .. waits })
  t.assertEquals({ coroutine.close(co) }, { false, "cannot close " .. waits })
  t.assertEquals({ task:wait(5000) }, { true, true, "slept" })
end

function tests.test_waits_pass_through_pcall_metamethods_and_iterators()
  local server, client = ends.pair()
  local object = setmetatable({}, {
    __index = function(_, key)
      assert(client:send(key))
      return server:receive(5000)
    end,
    __add = function(_, ms)
      pipe.sleep(ms)
      return "slept"
    end,
    __call = function()
      return select(2, pcall(server.receive, server, 5000))
    end,
  })
  t.assertEquals(object.field, "field")
  t.assertEquals(object + 1, "slept")
  assert(client:send "called")
  t.assertEquals(object(), "called")
  t.assertEquals({ xpcall(pipe.sleep, debug.traceback, 1) }, { true })
end

return tests
