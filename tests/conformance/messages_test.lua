-- SPDX-License-Identifier: MIT
-- Message pipes: one write is one message, whatever its size.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_both_directions()
  local server, client = ends.pair()
  assert(client:send "question")
  t.assertEquals(server:receive(5000), "question")
  assert(server:send "answer")
  t.assertEquals(client:receive(5000), "answer")
end

function tests.test_an_empty_message_is_a_message()
  local server, client = ends.pair()
  for _, message in ipairs { "", "a", "", "", "b" } do
    assert(client:send(message))
  end
  for _, message in ipairs { "", "a", "", "", "b" } do
    t.assertEquals({ server:receive(5000) }, { message })
  end
  ends.fails("timeout", server:receive(0))
end

function tests.test_an_empty_message_wakes_a_pending_receive()
  local server, client = ends.pair()
  local op = client:receive_op()
  assert(server:send "")
  t.assertEquals(ends.finish(op), "")
end

function tests.test_an_empty_message_wakes_a_pending_read()
  local server, client = ends.pair()
  local op = server:read_op(10)
  assert(client:send "")
  t.assertEquals({ ends.finish(op) }, { "", false })
end

function tests.test_an_empty_message_then_the_end()
  local server, client = ends.pair()
  assert(client:send "")
  client:close()
  t.assertEquals(server:receive(5000), "")
  ends.fails("closed", server:receive(5000))
  ends.fails("closed", server:read(10, 5000))
end

function tests.test_sizes_at_the_limit()
  for _, limit in ipairs { 1, 2, 4096, 65536, 200000 } do
    local server, client = ends.pair({ max_message = limit }, { max_message = limit })
    for _, size in ipairs { limit - 1, limit } do
      local message = ends.pattern(size)
      local there = client:write_op(message)
      t.equal_bytes(server:receive(5000), message)
      t.assertTrue(ends.finish(there))
      local back = server:write_op(message)
      t.equal_bytes(client:receive(5000), message)
      t.assertTrue(ends.finish(back))
    end
  end
end

function tests.test_nothing_of_a_message_over_the_limit_is_sent()
  local server, client = ends.pair({ max_message = 1000 }, { max_message = 1000 })
  for _, from in ipairs { server, client } do
    local info = ends.fails("toobig", from:send(("x"):rep(1001)))
    t.assertStrContains(info.message, "max_message")
    ends.fails("toobig", from:write(("x"):rep(5000)))
    ends.fails("toobig", ends.finish(from:write_op(("x"):rep(1001))))
    assert(from:send "next")
  end
  t.assertEquals(server:receive(5000), "next")
  t.assertEquals(client:receive(5000), "next")
end

function tests.test_a_longer_incoming_message_is_too_big_and_then_read_in_parts()
  local server, client = ends.pair({ max_message = 100 }, { max_message = 1000 })
  local message = ends.pattern(250)
  for size = 99, 100 do
    assert(client:send(message:sub(1, size)))
    t.equal_bytes(server:receive(5000), message:sub(1, size))
  end
  assert(client:send(message))
  assert(client:send "after it")
  ends.fails("toobig", server:receive(5000))
  local parts = {}
  repeat
    local part, more = assert(server:read(90, 5000))
    parts[#parts + 1] = part
  until not more
  t.equal_bytes(table.concat(parts), message)
  t.assertEquals(#parts, 3)
  t.assertEquals(server:receive(5000), "after it")
end

function tests.test_one_byte_over_the_limit_comes_too_big()
  local server, client = ends.pair({ max_message = 100 }, { max_message = 1000 })
  assert(client:send(("z"):rep(101)))
  ends.fails("toobig", ends.finish(server:receive_op()))
  t.assertEquals({ server:read(1000, 5000) }, { ("z"):rep(101), false })
end

function tests.test_a_message_in_three_parts()
  local server, client = ends.pair()
  assert(client:send "abcdefghij")
  assert(client:send "next")
  t.assertEquals({ server:read(4, 5000) }, { "abcd", true })
  t.assertEquals({ server:read(4, 5000) }, { "efgh", true })
  t.assertEquals({ server:read(4, 5000) }, { "ij", false })
  t.assertEquals({ server:read(4, 5000) }, { "next", false })
end

function tests.test_a_pending_read_gets_a_part_too()
  local server, client = ends.pair()
  local first, second = server:read_op(3), server:read_op(100)
  assert(client:send "abcdef")
  t.assertEquals({ ends.finish(first) }, { "abc", true })
  t.assertEquals({ ends.finish(second) }, { "def", false })
end

function tests.test_the_rest_of_a_message_is_received_whole()
  local server, client = ends.pair()
  assert(client:send "abcdefghij")
  t.assertEquals({ server:read(4, 5000) }, { "abcd", true })
  t.assertEquals(server:receive(5000), "efghij")
end

function tests.test_the_rest_of_a_message_outlives_the_peer()
  local server, client = ends.pair()
  assert(client:send "abcdefghij")
  t.assertEquals({ server:read(4, 5000) }, { "abcd", true })
  client:close()
  t.assertEquals({ server:read(100, 5000) }, { "efghij", false })
  ends.fails("closed", server:read(100, 5000))
end

function tests.test_many_queued_messages_keep_their_order()
  local server, client = ends.pair()
  local sender = pipe.spawn(function()
    for i = 1, 2000 do
      assert(client:send(("%d:%s"):format(i, ("x"):rep(i % 97)), 20000))
    end
    client:close()
  end)
  -- Nobody reads until no more fits into the system.
  t.eventually(function()
    return server:peek().available > 0
  end)
  local count = 0
  for message in server:messages() do
    count = count + 1
    t.assertEquals(message, ("%d:%s"):format(count, ("x"):rep(count % 97)))
  end
  t.assertEquals(count, 2000)
  ends.join(sender)
end

function tests.test_many_sends_started_at_once_keep_their_order()
  local server, client = ends.pair()
  local ops = {}
  for i = 1, 600 do
    ops[i] = client:write_op("message " .. i)
  end
  for i = 1, 600 do
    t.assertEquals(server:receive(10000), "message " .. i)
  end
  assert(pipe.wait_all(ops, 10000))
  for _, op in ipairs(ops) do
    t.assertTrue(op:result())
  end
end

function tests.test_a_long_message()
  local size = 300000
  local server, client = ends.pair({ max_message = size }, { max_message = size })
  local message = ends.pattern(size)
  local op = client:write_op(message)
  t.equal_bytes(server:receive(10000), message)
  t.assertTrue(ends.finish(op))
end

function tests.test_the_system_says_its_limit_of_messages()
  local server, code, info = pipe.create(t.name(), { max_message = 1 << 30 })
  if t.system == "windows" then
    t.assertNotNil(server)
    return
  end
  info = ends.fails("toobig", server, code, info)
  t.assertStrMatches(info.message, ".*%d.*")
end

function tests.test_messages_ends_at_the_end_and_raises_on_anything_else()
  local server, client = ends.pair { timeout = 30 }
  assert(client:send "one")
  local got = {}
  ends.raises("timed out", function()
    for message in server:messages() do
      got[#got + 1] = message
    end
  end)
  t.assertEquals(got, { "one" })
  client:close()
  for _ in server:messages() do
    error "there is no message"
  end
end

function tests.test_byte_calls_do_not_fit_a_message_pipe()
  local server = ends.pair()
  ends.raises("byte pipe", server.read_exact, server, 5)
  ends.raises("byte pipe", server.read_line, server)
  ends.raises("at least one byte", server.read, server, 0)
end

return tests
