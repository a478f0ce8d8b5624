-- SPDX-License-Identifier: MIT
-- Tasks: results, errors, cancel, time.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_spawn_passes_arguments_and_results()
  local task = pipe.spawn(function(...)
    return select("#", ...), ...
  end, 1, nil, "x", nil)
  t.assertEquals(table.pack(task:wait(5000)), table.pack(true, 4, 1, nil, "x", nil))
  t.assertEquals(table.pack(task:wait()), table.pack(true, 4, 1, nil, "x", nil))
  t.assertEquals({ pipe.spawn(function() end):wait(5000) }, { true })
end

function tests.test_spawn_runs_later()
  local ran = false
  local task = pipe.spawn(function()
    ran = true
  end)
  t.assertFalse(ran)
  assert(task:wait(5000))
  t.assertTrue(ran)
end

function tests.test_many_results()
  local list = {}
  for i = 1, 500 do
    list[i] = i
  end
  local task = pipe.spawn(table.unpack, list)
  local results = table.pack(task:wait(5000))
  t.assertEquals(results.n, 501)
  t.assertEquals(results[501], 500)
end

function tests.test_more_results_than_can_be_handed_over()
  local list = {}
  for i = 1, 600000 do
    list[i] = i
  end
  local task = pipe.spawn(function()
    return table.unpack(list)
  end)
  ends.raises("too many results", task.wait, task, 20000)
  t.assertEquals(tostring(task), "task (done)")
end

function tests.test_many_arguments()
  local list = {}
  for i = 1, 500 do
    list[i] = i
  end
  t.assertEquals({ pipe.spawn(select, "#", table.unpack(list)):wait(5000) }, { true, 500 })
  local co = coroutine.wrap(function(...)
    pipe.sleep(0)
    return select("#", coroutine.yield(...))
  end)
  t.assertEquals(select("#", co(table.unpack(list))), 500)
  t.assertEquals(co(table.unpack(list)), 500)
end

function tests.test_sleep_and_now()
  local begin = pipe.now()
  pipe.sleep(30)
  local took = pipe.now() - begin
  t.assertTrue(took >= 29.9 and took < 3000, took)
  local order = {}
  local tasks = {}
  for _, ms in ipairs { 60, 20, 40, 0 } do
    tasks[#tasks + 1] = pipe.spawn(function()
      pipe.sleep(ms)
      order[#order + 1] = ms
    end)
  end
  assert(pipe.wait_all(tasks, 5000))
  t.assertEquals(order, { 0, 20, 40, 60 })
end

function tests.test_wait_says_pending_and_the_task_goes_on()
  local go = pipe.event()
  local task = pipe.spawn(function()
    go:wait()
    return "done"
  end)
  ends.fails("pending", task:wait(0))
  ends.fails("pending", task:wait(10))
  go:set()
  t.assertEquals({ task:wait(5000) }, { true, "done" })
end

local function fails_deep_inside()
  error "a failure on purpose"
end

function tests.test_an_error_has_its_place_and_traceback()
  local task = pipe.spawn(function()
    pipe.sleep(1)
    fails_deep_inside()
  end)
  local ok, message = pcall(task.wait, task, 5000)
  t.assertFalse(ok)
  t.assertStrContains(message, "task_test.lua:")
  t.assertStrContains(message, "a failure on purpose")
  t.assertStrContains(message, "stack traceback:")
  t.assertStrContains(message, "fails_deep_inside")
  local second_ok, again = pcall(task.wait, task, 5000)
  t.assertFalse(second_ok)
  t.assertEquals(again, message)
end

function tests.test_one_traceback_through_many_tasks()
  local inner = pipe.spawn(fails_deep_inside)
  local outer = pipe.spawn(function()
    inner:wait(5000)
  end)
  local _, message = pcall(outer.wait, outer, 5000)
  t.assertEquals(select(2, message:gsub("stack traceback:", "")), 1)
end

function tests.test_errors_that_are_no_text()
  for _, value in ipairs { 42, {}, true } do
    local task = pipe.spawn(error, value)
    local ok, message = pcall(task.wait, task, 5000)
    t.assertFalse(ok)
    t.assertStrContains(message, "stack traceback:")
  end
  local nothing = pipe.spawn(error)
  t.assertFalse((pcall(nothing.wait, nothing, 5000)))
end

function tests.test_a_failing_task_hurts_no_other()
  local server, client = ends.pair()
  local done = {}
  local good = pipe.spawn(function()
    for message in server:messages() do
      done[#done + 1] = message
    end
  end)
  for i = 1, 10 do
    local bad = pipe.spawn(function()
      pipe.sleep(i % 3)
      error "on purpose"
    end)
    assert(client:send("message " .. i))
    ends.raises("on purpose", bad.wait, bad, 5000)
  end
  client:close()
  ends.join(good)
  t.assertEquals(#done, 10)
end

function tests.test_cancel_raises_in_the_wait()
  local caught, closed
  local task = pipe.spawn(function()
    local guard <close> = setmetatable({}, {
      __close = function()
        closed = true
      end,
    })
    t.assertNotNil(guard)
    local ok, message = pcall(pipe.sleep, 60000)
    caught = not ok and message
    pipe.sleep(60000)
  end)
  pipe.sleep(5)
  task:cancel()
  ends.raises("cancelled", task.wait, task, 5000)
  t.assertStrContains(caught, "cancelled")
  t.assertTrue(closed)
end

function tests.test_cancel_in_every_kind_of_wait()
  local server, client = ends.pair()
  local never = pipe.event()
  local idle, its_client = ends.pair()
  local op = idle:receive_op()
  for i, wait in ipairs {
    function() server:receive() end,
    function() server:transact "x" end,
    function() never:wait() end,
    function() op:wait() end,
    function() pipe.wait_any { never, op } end,
    function() pipe.wait_all { never, op } end,
    function() pipe.spawn(never.wait, never):wait() end,
    function() pipe.open(t.name(), { timeout = 60000 }) end,
    function() assert(pipe.create(t.name())):connect() end,
    function() coroutine.wrap(pipe.sleep)(60000) end,
  } do
    local task = pipe.spawn(wait)
    pipe.sleep(1)
    task:cancel()
    local ok, message = pcall(task.wait, task, 5000)
    t.assertFalse(ok, "wait " .. i)
    t.assertStrContains(message, "cancelled")
  end
  never:set()
  client:close()
  its_client:close()
end

-- A message that the cancelled task has taken already is its result, and its
-- next wait raises; one that it has not taken is left for the next reader.
function tests.test_1000_races_of_cancel_against_data()
  local server, client = ends.pair()
  local kept, left = 0, 0
  for i = 1, 1000 do
    local got, raised
    local task = pipe.spawn(function()
      got = server:receive()
      raised = select(2, pcall(pipe.sleep, 0))
    end)
    pipe.sleep(0)
    assert(client:send("message " .. i))
    for _ = 1, i % 4 do
      pipe.sleep(0)
    end
    task:cancel()
    local ok = pcall(task.wait, task, 5000)
    if ok then
      kept = kept + 1
      t.assertEquals(got, "message " .. i)
      if raised then
        t.assertStrContains(raised, "cancelled")
      end
    else
      left = left + 1
      t.assertNil(got)
      t.assertEquals(server:receive(5000), "message " .. i)
    end
  end
  t.assertEquals(kept + left, 1000)
  t.assertTrue(kept > 0)
  ends.fails("timeout", server:receive(0))
end

function tests.test_a_cancelled_task_still_closes_its_pipes()
  local server, client = ends.pair()
  local other, its_client = ends.pair()
  local task = pipe.spawn(function()
    pcall(server.receive, server)
    t.assertTrue(server:close())
    ends.raises("cancelled", other.close, other, 1000) -- that would be a wait
  end)
  pipe.sleep(0)
  task:cancel()
  ends.join(task)
  ends.fails("closed", client:receive(5000))
  ends.fails("closed", its_client:receive(5000))
end

function tests.test_a_cancelled_call_closes_its_pipe()
  local name = t.name()
  local server = assert(pipe.create(name))
  local task = pipe.spawn(pipe.call, name, "question")
  assert(server:connect(5000))
  t.assertEquals(server:receive(5000), "question")
  task:cancel()
  ends.raises("cancelled", task.wait, task, 5000)
  ends.fails("closed", server:receive(5000))
end

function tests.test_cancel_of_what_has_not_begun_or_has_ended()
  local task = pipe.spawn(pipe.sleep, 60000)
  task:cancel()
  task:cancel()
  ends.raises("cancelled", task.wait, task, 5000)
  local done = pipe.spawn(function()
    return "kept"
  end)
  assert(done:wait(5000))
  done:cancel()
  t.assertEquals({ done:wait() }, { true, "kept" })
end

function tests.test_a_task_cannot_wait_for_itself()
  local task
  task = pipe.spawn(function()
    task:wait()
  end)
  ends.raises("itself", task.wait, task, 5000)
end

return tests
