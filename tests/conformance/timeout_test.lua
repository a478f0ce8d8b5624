-- SPDX-License-Identifier: MIT
-- A deadline ends its operation, a wait does not, and no message is lost.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

local function took(fn)
  local begin = pipe.now()
  fn()
  return pipe.now() - begin
end

function tests.test_a_deadline_ends_a_receive_and_what_comes_later_is_not_lost()
  local server, client = ends.pair()
  local ms = took(function()
    local info = ends.fails("timeout", server:receive(40))
    t.assertEquals(info.op, "receive")
    t.assertStrContains(info.message, "timed out")
  end)
  t.assertTrue(ms >= 39 and ms < 2000, ms)
  assert(client:send "late")
  t.assertEquals(server:receive(5000), "late")
end

function tests.test_every_call_has_a_deadline()
  local server, client, name = ends.pair()
  ends.fails("timeout", server:read(10, 20))
  assert(client:send "unread")
  ends.fails("timeout", client:flush(20))
  local waits = assert(pipe.create(name))
  ends.fails("timeout", waits:connect(20))
  local bytes, peer <close> = ends.byte_pair() -- luacheck: ignore 211
  ends.fails("timeout", bytes:read_exact(5, 20))
  ends.fails("timeout", bytes:read_line(20))
  ends.fails("timeout", bytes:write(("x"):rep(20 << 20), 20))
  ends.fails("timeout", pipe.open(t.name(), { timeout = 20 }))
end

function tests.test_the_deadline_of_an_operation()
  local server, client = ends.pair()
  local op = server:receive_op(30)
  ends.fails("pending", op:result())
  t.assertTrue(op:wait(5000))
  ends.fails("timeout", op:result())
  ends.fails("timeout", op:result())
  assert(client:send "late")
  t.assertEquals(server:receive(5000), "late")
end

function tests.test_a_wait_that_ends_first_says_pending_and_the_operation_goes_on()
  local server, client = ends.pair()
  local op = server:receive_op()
  ends.fails("pending", op:wait(0))
  ends.fails("pending", op:wait(20))
  ends.fails("pending", op:result())
  ends.fails("pending", pipe.wait_any({ op }, 20))
  ends.fails("pending", pipe.wait_all({ op }, 20))
  assert(client:send "it goes on")
  t.assertTrue(op:wait(5000))
  t.assertEquals(op:result(), "it goes on")
  t.assertEquals(op:result(), "it goes on")
end

function tests.test_zero_means_what_is_there_now()
  local server, client, name = ends.pair()
  local ms = took(function()
    for _ = 1, 20 do
      ends.fails("timeout", server:receive(0))
    end
  end)
  t.assertTrue(ms < 1000, ms)
  t.assertTrue(client:send("there", 0))
  t.eventually(function()
    return server:peek().available > 0
  end)
  t.assertEquals(server:receive(0), "there")
  local second = assert(pipe.create(name))
  ends.fails("timeout", second:connect(0))
  local other = assert(pipe.open(name, { timeout = 0 }))
  t.eventually(function()
    return second:connect(0)
  end)
  other:close()
  ends.fails("absent", pipe.open(t.name(), { timeout = 0 }))
end

function tests.test_zero_of_an_operation()
  local server, client = ends.pair()
  local op = server:receive_op(0)
  t.assertTrue(op:wait(5000))
  ends.fails("timeout", op:result())
  assert(client:send "later")
  t.assertEquals(server:receive(5000), "later")
end

function tests.test_the_time_out_of_the_handle_holds_where_none_is_given()
  local name = t.name()
  local server = assert(pipe.create(name, { timeout = 30 }))
  ends.fails("timeout", server:connect())
  local client = assert(pipe.open(name, { timeout = 30 }))
  assert(server:connect())
  ends.fails("timeout", server:receive())
  ends.fails("timeout", client:receive())
  ends.fails("timeout", client:transact "x")
  local op = server:receive_op(math.huge)
  t.assertTrue(op:wait(5000))
  t.assertEquals(op:result(), "x")
  op = server:receive_op(math.huge)
  ends.fails("pending", op:wait(80))
end

function tests.test_time_counts_from_the_call()
  local server = ends.pair()
  for _, call in ipairs {
    function() ends.fails("timeout", server:receive(100)) end,
    function() ends.fails("pending", server:receive_op():wait(100)) end,
    function() pipe.sleep(100) end,
  } do
    local ms = took(function()
      local busy = os.clock() + 0.2
      repeat until os.clock() >= busy -- as a script that computes before it waits
      call()
    end)
    t.assertTrue(ms >= 298, ms)
  end
end

function tests.test_a_time_is_a_number_of_milliseconds()
  local server = ends.pair()
  ends.raises("milliseconds", server.receive, server, -1)
  ends.raises("number", server.receive, server, "soon")
  ends.raises("milliseconds", server.receive, server, 0 / 0)
  ends.raises("timeout", pipe.create, t.name(), { timeout = -5 })
  ends.raises("timeout", pipe.open, t.name(), { timeout = "5" })
  ends.raises("number", pipe.sleep)
end

-- Each of 1 000 messages races with the end of the read that waits for it; what
-- the read did not get, the next one does.
local function race(start, disturb)
  local server, client = ends.pair()
  local won = 0
  for i = 1, 1000 do
    local op = start(server)
    disturb(i, client, op)
    t.assertTrue(op:wait(5000))
    local message, code = op:result()
    if message then
      won = won + 1
    else
      t.assertTrue(code == "cancelled" or code == "timeout", code)
      message = server:receive(5000)
    end
    t.assertEquals(message, "message " .. i)
  end
  ends.fails("timeout", server:receive(0))
  return won
end

function tests.test_1000_races_of_cancel_against_data()
  race(function(server)
    return server:receive_op()
  end, function(i, client, op)
    if i % 4 == 0 then
      op:cancel()
      assert(client:send("message " .. i))
    else
      assert(client:send("message " .. i))
      for _ = 2, i % 4 do
        pipe.sleep(0)
      end
      op:cancel()
    end
  end)
end

function tests.test_1000_races_of_a_deadline_against_data()
  race(function(server)
    return server:receive_op(0.5)
  end, function(i, client)
    local at = pipe.now() + i % 11 / 10
    repeat
      pipe.sleep(0)
    until pipe.now() >= at
    assert(client:send("message " .. i))
  end)
end

function tests.test_1000_races_in_a_byte_pipe()
  local server, client = ends.byte_pair()
  local got, sent = {}, {}
  local function take(op)
    local data, code = ends.finish(op)
    if not data then
      t.assertEquals(code, "cancelled")
    end
    got[#got + 1] = data
  end
  for i = 1, 1000 do
    local op = server:read_op(7)
    sent[i] = ("%d,"):format(i)
    assert(client:write(sent[i]))
    if i % 2 == 0 then
      pipe.sleep(0)
    end
    op:cancel()
    take(op)
  end
  client:close()
  repeat
    got[#got + 1] = server:read(1000, 5000)
  until not server:peek()
  t.assertEquals(table.concat(got), table.concat(sent))
end

return tests
