-- SPDX-License-Identifier: MIT
-- Flush waits for the reader; peek looks and takes nothing.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

-- What has been written takes a moment to be seen.
local function peeks(pipe_end, available, left)
  t.eventually(function()
    return pipe_end:peek().available == available
  end)
  t.assertEquals(pipe_end:peek(), { available = available, left = left })
end

function tests.test_flush_waits_until_all_is_read()
  for _, make in ipairs { ends.pair, ends.byte_pair } do
    local server, client = make()
    assert(client:write "one")
    assert(client:write "two")
    local op = client:flush_op()
    ends.fails("pending", op:wait(20))
    t.assertEquals(server:read(3, 5000), "one")
    ends.fails("pending", op:wait(20))
    t.assertEquals(server:read(3, 5000), "two")
    t.assertTrue(ends.finish(op))
    t.assertTrue(client:flush(5000))
  end
end

function tests.test_flush_with_nothing_to_read()
  local server, client = ends.pair()
  t.assertTrue(client:flush(5000))
  t.assertTrue(client:flush(0))
  t.assertTrue(server:flush())
  t.assertTrue(assert(pipe.create(t.name())):flush())
end

function tests.test_flush_waits_for_an_empty_message_too()
  local server, client = ends.pair()
  assert(client:send "")
  ends.fails("timeout", client:flush(20))
  t.assertEquals(server:receive(5000), "")
  t.assertTrue(client:flush(5000))
end

function tests.test_flush_times_out_and_may_be_repeated()
  local server, client = ends.pair()
  assert(client:send "unread")
  for _ = 1, 5 do
    ends.fails("timeout", client:flush(5))
  end
  ends.fails("timeout", client:flush(0))
  t.assertEquals(server:receive(5000), "unread")
  t.assertTrue(client:flush(5000))
end

function tests.test_flush_waits_for_own_writes()
  local server, client = ends.byte_pair()
  local text = ends.pattern(4 << 20)
  local write, flush = client:write_op(text), client:flush_op()
  ends.fails("pending", flush:wait(10))
  t.assertTrue(server:read_exact(#text, 20000) == text)
  t.assertTrue(ends.finish(flush))
  t.assertTrue(write:result())
end

function tests.test_flush_when_the_peer_goes_without_reading()
  local server, client = ends.pair()
  assert(client:send "never read")
  local op = client:flush_op()
  ends.fails("pending", op:wait(10))
  server:close()
  local flushed, code = ends.finish(op)
  -- On Linux a closer takes its input out, so that its last words are not lost
  -- in a reset: to the system that looks as if it had been read.
  if not flushed or t.system == "windows" then
    t.assertNil(flushed)
    t.assertEquals(code, "closed")
  end
end

function tests.test_many_flushes()
  local pairs_, ops = {}, {}
  for i = 1, 12 do -- more than there are helpers
    local server, client = ends.pair()
    assert(client:send "x")
    pairs_[i] = { server, client }
    ops[i] = client:flush_op()
  end
  ends.fails("pending", pipe.wait_any(ops, 20))
  for i = 12, 1, -1 do
    t.assertEquals(pairs_[i][1]:receive(5000), "x")
  end
  assert(pipe.wait_all(ops, 10000))
  for i = 1, 12 do
    t.assertTrue(ops[i]:result())
  end
end

function tests.test_peek_of_an_empty_pipe()
  for _, make in ipairs { ends.pair, ends.byte_pair } do
    local server, client = make()
    t.assertEquals(server:peek(), { available = 0, left = 0 })
    t.assertEquals(client:peek(), { available = 0, left = 0 })
  end
end

function tests.test_peek_of_messages()
  local server, client = ends.pair()
  assert(client:send "abcde")
  peeks(server, 5, 5)
  assert(client:send "fgh")
  peeks(server, 8, 5)
  t.assertEquals({ server:read(2, 5000) }, { "ab", true })
  peeks(server, 6, 3)
  t.assertEquals(server:receive(5000), "cde")
  peeks(server, 3, 3)
  t.assertEquals(server:receive(5000), "fgh")
  peeks(server, 0, 0)
end

function tests.test_peek_does_not_see_an_empty_message()
  local server, client = ends.pair()
  assert(client:send "")
  t.assertEquals(server:peek(), { available = 0, left = 0 })
  t.assertEquals(server:receive(5000), "")
end

function tests.test_peek_of_bytes()
  local server, client = ends.byte_pair()
  assert(client:write "abcde")
  assert(client:write "fgh")
  peeks(server, 8, 0)
  t.assertEquals(server:read(3, 5000), "abc")
  peeks(server, 5, 0)
  ends.fails("timeout", server:read_exact(10, 5))
  peeks(server, 5, 0)
end

function tests.test_peek_after_the_peer_has_closed()
  local server, client = ends.pair()
  assert(client:send "left")
  client:close()
  peeks(server, 4, 4)
  t.assertEquals(server:receive(5000), "left")
  local peek
  t.eventually(function()
    peek = table.pack(server:peek())
    return not peek[1]
  end)
  ends.fails("closed", table.unpack(peek, 1, peek.n))
end

return tests
