-- SPDX-License-Identifier: MIT
-- Waits for one or many; operations that nobody holds any more.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

local function many(count)
  local list = {}
  for i = 1, count do
    local server, client = ends.pair()
    list[i] = { server = server, client = client, op = server:receive_op() }
  end
  return list
end

local function operations(list)
  local ops = {}
  for i, entry in ipairs(list) do
    ops[i] = entry.op
  end
  return ops
end

function tests.test_wait_any_over_100_operations()
  local list = many(100)
  local ops = operations(list)
  ends.fails("pending", pipe.wait_any(ops, 10))
  for _, i in ipairs { 100, 1, 64, 65, 37 } do
    assert(list[i].client:send("to " .. i))
    local op, index = pipe.wait_any(ops, 5000)
    t.assertEquals(index, i)
    t.assertTrue(rawequal(op, ops[i]))
    t.assertEquals(op:result(), "to " .. i)
    ops[i] = list[i].server:receive_op()
  end
  ends.fails("pending", pipe.wait_any(ops, 0))
end

function tests.test_wait_any_tells_the_lowest_index()
  local list = many(5)
  local ops = operations(list)
  for _, i in ipairs { 4, 2, 5 } do
    assert(list[i].client:send "x")
    assert(ops[i]:wait(5000))
  end
  for _ = 1, 3 do
    local _, index = pipe.wait_any(ops, 5000)
    t.assertEquals(index, 2)
  end
end

function tests.test_wait_all_over_100_operations()
  local list = many(100)
  local ops = operations(list)
  for i = 1, 99 do
    assert(list[i].client:send("to " .. i))
  end
  ends.fails("pending", pipe.wait_all(ops, 30))
  assert(list[100].client:send "to 100")
  t.assertTrue(pipe.wait_all(ops, 10000))
  for i, op in ipairs(ops) do
    t.assertEquals(op:result(), "to " .. i)
  end
end

function tests.test_an_operation_twice_in_a_list()
  local list = many(1)
  local op = list[1].op
  ends.fails("pending", pipe.wait_all({ op, op }, 5))
  assert(list[1].client:send "x")
  t.assertTrue(pipe.wait_all({ op, op }, 5000))
  t.assertEquals({ pipe.wait_any({ op, op }, 5000) }, { op, 1 })
end

function tests.test_events()
  local event = pipe.event()
  t.assertFalse(event:is_set())
  ends.fails("pending", event:wait(5))
  event:set()
  t.assertTrue(event:is_set())
  t.assertTrue(event:wait())
  t.assertTrue(event:wait(0))
  event:reset()
  ends.fails("pending", event:wait(0))
  local waiters = {}
  for i = 1, 10 do
    waiters[i] = pipe.spawn(function()
      return event:wait(5000) and i
    end)
  end
  pipe.sleep(0)
  event:set()
  for i = 1, 10 do
    t.assertEquals(ends.join(waiters[i]), i)
  end
end

function tests.test_operations_tasks_and_events_in_one_list()
  local list = many(1)
  local event, go = pipe.event(), pipe.event()
  local task = pipe.spawn(function()
    go:wait()
    return "done"
  end)
  local items = { list[1].op, task, event }
  ends.fails("pending", pipe.wait_any(items, 5))
  event:set()
  t.assertEquals({ pipe.wait_any(items, 5000) }, { event, 3 })
  go:set()
  assert(task:wait(5000))
  t.assertEquals({ pipe.wait_any(items, 5000) }, { task, 2 })
  ends.fails("pending", pipe.wait_all(items, 5))
  assert(list[1].client:send "x")
  t.assertTrue(pipe.wait_all(items, 5000))
  t.assertEquals({ pipe.wait_any(items, 5000) }, { list[1].op, 1 })
end

function tests.test_many_tasks_wait_for_one_operation()
  local list = many(1)
  local tasks = {}
  for i = 1, 50 do
    tasks[i] = pipe.spawn(function()
      pipe.wait_any({ list[1].op }, 5000)
      return list[1].op:result()
    end)
  end
  pipe.sleep(0)
  assert(list[1].client:send "for all")
  for i = 1, 50 do
    t.assertEquals(ends.join(tasks[i]), "for all")
  end
end

function tests.test_lists_that_are_none()
  ends.raises("nothing to wait for", pipe.wait_any, {})
  ends.raises("nothing to wait for", pipe.wait_all, {})
  ends.raises("table", pipe.wait_any)
  ends.raises("item 2", pipe.wait_any, { pipe.event(), "text" })
  local server = ends.pair()
  ends.raises("item 1", pipe.wait_all, { server })
end

function tests.test_lists_that_claim_another_length()
  local event = pipe.event()
  for _, length in ipairs { (1 << 20) + 1, 1 << 40, 1 << 61, math.maxinteger } do
    local list = setmetatable({ event, event, event, event }, {
      __len = function()
        return length
      end,
    })
    ends.raises("1048576", pipe.wait_any, list, 0)
    ends.raises("1048576", pipe.wait_all, list, 0)
  end
  local negative = setmetatable({ event }, {
    __len = function()
      return -1
    end,
  })
  ends.raises("nothing to wait for", pipe.wait_any, negative)
  event:set()
end

-- Each wakes the other: everybody else has his turns as well.
function tests.test_tasks_that_wake_each_other_for_ever()
  local ping, pong, rounds = pipe.event(), pipe.event(), 0
  local function player(mine, yours)
    while true do
      mine:wait()
      mine:reset()
      rounds = rounds + 1
      yours:set()
    end
  end
  local tasks = { pipe.spawn(player, ping, pong), pipe.spawn(player, pong, ping) }
  ping:set()
  local server, client = ends.pair()
  for i = 1, 3 do
    assert(client:send("to " .. i))
    t.assertEquals(server:receive(5000), "to " .. i)
    pipe.sleep(1)
  end
  t.assertTrue(rounds > 3)
  for _, task in ipairs(tasks) do
    task:cancel()
    ends.raises("cancelled", task.wait, task, 5000)
  end
end

function tests.test_an_operation_collected_while_pending()
  local server, client = ends.pair()
  for _ = 1, 20 do
    server:receive_op()
  end
  local op = server:receive_op()
  local told = setmetatable({ op }, { __mode = "v" })
  op = nil -- luacheck: ignore 311
  collectgarbage()
  collectgarbage()
  t.assertNil(told[1])
  -- A read that is queued behind them ends in time, so they have ended.
  ends.fails("timeout", server:receive(30))
  assert(client:send "not for those")
  t.assertEquals(server:receive(5000), "not for those")
end

function tests.test_writes_collected_while_pending()
  local server, client = ends.byte_pair()
  ends.stuck_write(client)
  client:write_op "never sent"
  collectgarbage()
  collectgarbage()
  ends.fails("closed", client:write "x")
  t.assertNotNil(server)
end

function tests.test_everything_collected_at_once()
  do
    local list = many(30)
    for _, entry in ipairs(list) do
      entry.server:write_op(("x"):rep(60000))
      entry.client:receive_op()
      entry.client:flush_op()
    end
  end
  collectgarbage()
  local instance = assert(pipe.create(t.name()))
  instance:connect_op()
  instance = nil -- luacheck: ignore 311
  collectgarbage()
end

function tests.test_a_variable_that_closes_its_operation()
  local server, client = ends.pair()
  local kept
  do
    local op <close> = server:receive_op()
    kept = op
  end
  ends.fails("cancelled", kept:result())
  assert(client:send "kept")
  t.assertEquals(server:receive(5000), "kept")
  do
    local op <close> = client:write_op "done"
    kept = op
    assert(op:wait(5000))
  end
  t.assertTrue(kept:result())
end

function tests.test_an_error_while_operations_are_pending()
  local server, client = ends.pair()
  local kept
  ends.raises("on purpose", function()
    local read <close> = server:receive_op()
    local other <close> = server:receive_op() -- luacheck: ignore 211
    local flush <close> = client:flush_op() -- luacheck: ignore 211
    kept = read
    error "on purpose"
  end)
  ends.fails("cancelled", kept:result())
  assert(client:send "after the error")
  t.assertEquals(server:receive(5000), "after the error")
end

function tests.test_an_error_in_a_task_with_pending_operations()
  local server, client = ends.pair()
  local task = pipe.spawn(function()
    local op = server:receive_op()
    ends.fails("pending", op:wait(1))
    local long = client:write_op(("x"):rep(60000)) -- luacheck: ignore 211
    error "on purpose"
  end)
  ends.raises("on purpose", ends.join, task)
  task = nil -- luacheck: ignore 311
  collectgarbage()
  collectgarbage()
end

function tests.test_a_wait_for_what_another_task_closes()
  local server = ends.pair()
  local op = server:receive_op()
  local waiter = pipe.spawn(function()
    assert(op:wait(5000))
    return select(2, op:result())
  end)
  pipe.sleep(0)
  server:close()
  t.assertEquals(ends.join(waiter), "cancelled")
end

return tests
