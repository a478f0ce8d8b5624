-- SPDX-License-Identifier: MIT
-- Cancel is a request; only the end of the operation tells what came of it.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_a_cancelled_receive_takes_nothing()
  local server, client = ends.pair()
  local op = server:receive_op()
  op:cancel()
  local info = ends.fails("cancelled", ends.finish(op))
  t.assertStrContains(info.message, "cancelled")
  assert(client:send "kept")
  t.assertEquals(server:receive(5000), "kept")
end

function tests.test_cancel_of_what_is_done_changes_nothing()
  local server, client = ends.pair()
  assert(client:send "done")
  local op = server:receive_op()
  assert(op:wait(5000))
  op:cancel()
  op:cancel()
  t.assertEquals(op:result(), "done")
end

function tests.test_cancel_twice()
  local server = ends.pair()
  local op = server:receive_op()
  op:cancel()
  op:cancel()
  ends.fails("cancelled", ends.finish(op))
  op:cancel()
  ends.fails("cancelled", op:result())
end

function tests.test_cancel_hits_one_of_many()
  local server, client = ends.pair()
  local ops = {}
  for i = 1, 5 do
    ops[i] = server:receive_op()
  end
  ops[1]:cancel()
  ops[4]:cancel()
  assert(pipe.wait_all({ ops[1], ops[4] }, 5000))
  for i = 1, 3 do
    assert(client:send("message " .. i))
  end
  assert(pipe.wait_all(ops, 5000))
  ends.fails("cancelled", ops[1]:result())
  t.assertEquals(ops[2]:result(), "message 1")
  t.assertEquals(ops[3]:result(), "message 2")
  ends.fails("cancelled", ops[4]:result())
  t.assertEquals(ops[5]:result(), "message 3")
end

function tests.test_those_who_wait_for_it_go_on()
  local server = ends.pair()
  local op = server:receive_op()
  local waiters = {}
  for i = 1, 3 do
    waiters[i] = pipe.spawn(function()
      assert(op:wait(5000))
      return select(2, op:result())
    end)
  end
  pipe.sleep(0)
  op:cancel()
  for i = 1, 3 do
    t.assertEquals(ends.join(waiters[i]), "cancelled")
  end
end

function tests.test_a_cancelled_connect_leaves_the_instance_listening()
  local name = t.name()
  local server = assert(pipe.create(name))
  local op = server:connect_op()
  op:cancel()
  ends.fails("cancelled", ends.finish(op))
  t.assertEquals(server:info().state, "listening")
  local client = assert(pipe.open(name))
  assert(server:connect(5000))
  assert(client:send "hello")
  t.assertEquals(server:receive(5000), "hello")
end

function tests.test_a_connect_that_was_timed_out_may_be_repeated()
  local name = t.name()
  local server = assert(pipe.create(name))
  for _ = 1, 20 do
    ends.fails("timeout", server:connect(1))
  end
  local client <close> = assert(pipe.open(name)) -- luacheck: ignore 211
  assert(server:connect(5000))
end

local function torn(client, op, code)
  local info = ends.fails(code, ends.finish(op))
  if t.system == "windows" then
    t.assertNil(info.bytes)
  else
    t.assertTrue(info.bytes >= 0 and info.bytes < 20 << 20)
  end
  info = ends.fails("closed", client:write "more")
  t.assertStrContains(info.message, "earlier write")
end

function tests.test_after_a_cancelled_write_the_pipe_takes_no_more()
  local server, client = ends.byte_pair()
  local op = ends.stuck_write(client)
  op:cancel()
  torn(client, op, "cancelled")
  assert(server:write "the other way is whole")
  t.assertEquals(client:read(100, 5000), "the other way is whole")
end

function tests.test_after_a_timed_out_write_the_pipe_takes_no_more()
  local server <close>, client = ends.byte_pair() -- luacheck: ignore 211
  torn(client, client:write_op(("x"):rep(20 << 20), 20), "timeout")
end

function tests.test_a_write_that_is_only_queued_leaves_the_pipe_whole()
  local server, client = ends.byte_pair()
  local long = ("w"):rep(4 << 20)
  local first, second = client:write_op(long), client:write_op("second")
  ends.fails("pending", second:wait(0))
  second:cancel()
  local info = ends.fails("cancelled", ends.finish(second))
  t.assertTrue(info.bytes == 0 or info.bytes == nil and t.system == "windows", info.bytes)
  local third = client:write_op("third")
  t.assertTrue(server:read_exact(#long, 20000) == long)
  t.assertEquals(server:read_exact(5, 5000), "third")
  t.assertTrue(ends.finish(first))
  t.assertTrue(ends.finish(third))
end

function tests.test_what_is_queued_behind_a_torn_write_is_not_sent()
  local server, client = ends.byte_pair()
  local torn_op = ends.stuck_write(client)
  local second, third = client:write_op "second", client:write_op ""
  torn_op:cancel()
  ends.fails("cancelled", ends.finish(torn_op))
  for _, op in ipairs { second, third } do
    local info = ends.fails("closed", ends.finish(op))
    t.assertStrContains(info.message, "earlier write")
  end
  client:close()
  repeat
    local data, code = server:read(1 << 20, 5000)
    t.assertNil(data and data:find "[^w]")
  until code == "closed"
end

function tests.test_a_cancelled_message_does_not_come_in_part()
  local server, client = ends.pair()
  local ops = {}
  repeat -- until the system takes no more
    local op = client:write_op(("m"):rep(60000))
    ops[#ops + 1] = op
  until not op:wait(0)
  local last = ops[#ops]
  last:cancel()
  assert(last:wait(5000))
  local whole = last:result() and #ops or #ops - 1
  client:close()
  local count = 0
  for message in server:messages() do
    t.assertEquals(#message, 60000)
    count = count + 1
  end
  t.assertEquals(count, whole)
end

function tests.test_a_cancelled_flush()
  local server, client = ends.pair()
  assert(client:send "unread")
  local op = client:flush_op()
  ends.fails("pending", op:wait(30))
  op:cancel()
  ends.fails("cancelled", ends.finish(op))
  t.assertEquals(server:receive(5000), "unread")
  t.assertTrue(client:flush(5000))
end

-- What an operation has given stays, whatever comes through the pipe later.
function tests.test_results_are_not_touched_afterwards()
  for _, make in ipairs { ends.pair, ends.byte_pair } do
    local server, client = make()
    local ops, cancelled = {}, {}
    for i = 1, 60 do
      local text = (string.char(64 + i)):rep(i * 100)
      ops[i] = server:read_op(#text)
      if i % 3 == 0 then
        cancelled[i] = server:read_op(50000)
        cancelled[i]:cancel()
        assert(cancelled[i]:wait(5000))
      end
      assert(client:write(text))
      assert(ops[i]:wait(5000))
      t.assertEquals(ops[i]:result(), text)
    end
    for i = 1, 60 do
      t.assertEquals(ops[i]:result(), (string.char(64 + i)):rep(i * 100))
      if cancelled[i] then
        ends.fails("cancelled", cancelled[i]:result())
      end
    end
  end
end

function tests.test_a_task_that_opens_is_cancelled()
  local absent = t.name()
  local task = pipe.spawn(function()
    return pipe.open(absent, { timeout = 60000 })
  end)
  pipe.sleep(5)
  task:cancel()
  ends.raises("cancelled", ends.join, task)
end

function tests.test_a_task_that_reads_is_cancelled_and_the_data_stays()
  local server, client = ends.pair()
  local task = pipe.spawn(function()
    return server:receive()
  end)
  pipe.sleep(0)
  task:cancel()
  ends.raises("cancelled", ends.join, task)
  assert(client:send "for the next")
  t.assertEquals(server:receive(5000), "for the next")
end

return tests
