-- SPDX-License-Identifier: MIT
-- Close keeps what the system has accepted, disconnect discards it.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_closing_right_after_the_last_reply()
  for i = 1, 100 do
    local server, client = ends.pair()
    for j = 1, i % 4 do
      assert(client:send("unread " .. j))
    end
    assert(server:send "first")
    assert(server:send "last words")
    server:close()
    t.assertEquals(client:receive(5000), "first")
    t.assertEquals(client:receive(5000), "last words")
    ends.fails("closed", client:receive(5000))
    ends.fails("closed", client:send "x")
  end
end

function tests.test_closing_a_byte_pipe_with_unread_input()
  for _ = 1, 50 do
    local server, client = ends.byte_pair()
    assert(client:write(("u"):rep(10000)))
    t.assertEquals(server:read_exact(10, 5000), ("u"):rep(10))
    assert(server:write(ends.pattern(20000)))
    server:close()
    t.equal_bytes(client:read_exact(20000, 5000), ends.pattern(20000))
    ends.fails("closed", client:read(1, 5000))
  end
end

function tests.test_the_client_closes_first()
  for _ = 1, 50 do
    local server, client = ends.pair()
    assert(server:send "unread")
    assert(client:send "last words")
    client:close()
    t.assertEquals(server:receive(5000), "last words")
    ends.fails("closed", server:receive(5000))
  end
end

function tests.test_the_peer_closes_during_a_pending_operation()
  for i, start in ipairs {
    function(pipe_end) return pipe_end:receive_op() end,
    function(pipe_end) return pipe_end:read_op(10) end,
    function(pipe_end) return pipe_end:transact_op "x" end,
    function(pipe_end)
      assert(pipe_end:send "unread")
      return pipe_end:flush_op()
    end,
  } do
    for _, server_closes in ipairs { true, false } do
      local server, client = ends.pair()
      local stays, goes = server, client
      if server_closes then
        stays, goes = client, server
      end
      local op = start(stays)
      ends.fails("pending", op:wait(5))
      goes:close()
      local value, code = ends.finish(op)
      if value ~= true or t.system == "windows" or i < 4 then
        t.assertNil(value)
        t.assertEquals(code, "closed")
      end -- a flush on Linux: see flush_peek_test
    end
  end
end

function tests.test_the_peer_closes_during_a_write()
  local server, client = ends.byte_pair()
  local op = ends.stuck_write(client)
  server:close()
  ends.fails("closed", ends.finish(op))
  ends.fails("closed", client:write "x")
end

function tests.test_disconnect_while_the_client_writes()
  for _, make in ipairs { ends.byte_pair, ends.pair } do
    local server, client = make()
    local ops = {}
    repeat
      ops[#ops + 1] = client:write_op(("w"):rep(60000))
    until not ops[#ops]:wait(0)
    assert(server:disconnect())
    ends.fails("closed", ends.finish(ops[#ops]))
    ends.fails("closed", client:write "x")
    ends.fails("closed", server:write "x")
    ends.fails("closed", server:read(10, 5000))
    ends.fails("closed", server:disconnect())
  end
end

function tests.test_disconnect_ends_the_servers_own_operations()
  local server, client = ends.pair()
  assert(server:send "unread")
  local read, flush = server:receive_op(), server:flush_op()
  assert(server:disconnect())
  ends.fails("closed", ends.finish(read))
  ends.fails("closed", ends.finish(flush))
  t.assertNotNil(client)
end

function tests.test_only_the_server_disconnects()
  local _, client = ends.pair()
  ends.raises("server", client.disconnect, client)
end

function tests.test_close_cancels_reads_and_connects()
  local server, client = ends.pair()
  local ops = { server:receive_op(), server:read_op(5), server:receive_op() }
  t.assertTrue(server:close())
  for _, op in ipairs(ops) do
    ends.fails("cancelled", ends.finish(op))
  end
  ends.fails("closed", client:receive(5000))
  local instance = assert(pipe.create(t.name()))
  local connect = instance:connect_op()
  instance:close()
  ends.fails("cancelled", ends.finish(connect))
end

function tests.test_close_waits_for_its_own_writes()
  local server, client = ends.byte_pair()
  local text = ends.pattern(4 << 20)
  local op = client:write_op(text)
  local closer = pipe.spawn(function()
    return client:close()
  end)
  t.assertTrue(server:read_exact(#text, 20000) == text)
  ends.fails("closed", server:read(1, 5000))
  t.assertTrue(ends.finish(op))
  t.assertTrue(ends.join(closer))
end

function tests.test_close_waits_no_longer_than_a_second()
  local server <close>, client = ends.byte_pair() -- luacheck: ignore 211
  local op = ends.stuck_write(client)
  local begin = pipe.now()
  t.assertTrue(client:close())
  local took = pipe.now() - begin
  t.assertTrue(took >= 900 and took < 5000, took)
  ends.fails("cancelled", ends.finish(op))
end

function tests.test_close_with_a_time_when_its_own_write_does_not_end()
  local server <close>, client = ends.byte_pair() -- luacheck: ignore 211
  local op = ends.stuck_write(client)
  local info = ends.fails("timeout", client:close(30))
  t.assertEquals(info.op, "close")
  ends.fails("cancelled", ends.finish(op))
end

function tests.test_a_close_that_waits_is_cancelled()
  for _, before in ipairs { function() end, ends.stuck_write } do
    local server <close>, client = ends.byte_pair() -- luacheck: ignore 211
    assert(client:write "unread")
    before(client)
    local outcome
    local task = pipe.spawn(function()
      outcome = table.pack(client:close(math.huge))
    end)
    pipe.sleep(5)
    task:cancel()
    assert(pipe.wait_all({ task }, 5000))
    ends.fails("cancelled", table.unpack(outcome, 1, outcome.n))
  end
end

function tests.test_close_where_nothing_can_wait()
  local server, client = ends.pair()
  assert(server:send "last words")
  t.assertEquals(("ab"):gsub(".", function()
    t.assertTrue(server:close())
  end), "ab")
  t.assertEquals(client:receive(5000), "last words")
  ends.fails("closed", client:receive(5000))
  ends.raises("cannot wait here", string.gsub, "a", ".", function()
    client:close(1000)
  end)
  t.assertTrue(client:close())
end

function tests.test_close_with_a_time_learns_whether_all_was_read()
  local server, client = ends.pair()
  assert(server:send "one")
  assert(server:send "two")
  local reader = pipe.spawn(function()
    pipe.sleep(20)
    return client:receive(5000), client:receive(5000)
  end)
  t.assertTrue(server:close(5000))
  t.assertEquals({ ends.join(reader) }, { "one", "two" })
end

function tests.test_close_with_a_time_when_nothing_was_read()
  for _, ms in ipairs { 0, 30 } do
    local server, client = ends.pair()
    assert(server:send "kept")
    local read_all, code = server:close(ms)
    t.assertNil(read_all)
    t.assertEquals(code, "timeout")
    t.assertEquals(client:receive(5000), "kept")
    ends.fails("closed", client:receive(5000))
  end
end

function tests.test_close_with_a_time_when_there_is_nothing_to_read()
  local server, client = ends.pair()
  t.assertTrue(client:close(0))
  t.assertTrue(server:close(1000))
  t.assertTrue(assert(pipe.create(t.name())):close(1000))
end

function tests.test_close_with_a_time_when_the_peer_goes_without_reading()
  local server, client = ends.pair()
  assert(server:send "never read")
  local closer = pipe.spawn(function()
    return server:close(10000)
  end)
  pipe.sleep(10)
  local begin = pipe.now()
  client:close()
  local all_read = ends.join(closer)
  if t.system == "windows" then -- Linux: see flush_peek_test
    t.assertNil(all_read)
  end
  t.assertTrue(pipe.now() - begin < 5000)
end

function tests.test_double_close()
  local server, client = ends.pair()
  t.assertTrue(server:close())
  t.assertTrue(server:close())
  t.assertTrue(server:close(100))
  t.assertTrue(client:close())
  t.assertTrue(client:close())
  t.assertStrContains(tostring(client), "closed")
end

function tests.test_use_after_close_raises()
  local server, client = ends.pair()
  server:close()
  client:close()
  for _, method in ipairs {
    "read", "receive", "connect", "flush", "disconnect", "peek", "peer", "info", "read_op", "receive_op",
    "connect_op", "flush_op",
  } do
    ends.raises("is closed", server[method], server)
  end
  for _, method in ipairs { "write", "send", "transact", "write_op", "transact_op" } do
    ends.raises("is closed", client[method], client, "x")
  end
end

function tests.test_the_result_of_an_operation_outlives_its_pipe()
  local server, client = ends.pair()
  assert(client:send "kept")
  local op = server:receive_op()
  assert(op:wait(5000))
  server:close()
  t.assertEquals(op:result(), "kept")
end

function tests.test_a_variable_that_closes_its_pipe()
  local name = t.name()
  local client
  do
    local server <close> = assert(pipe.create(name))
    client = assert(pipe.open(name))
    assert(server:connect(5000))
    assert(server:send "last words")
  end
  t.assertEquals(client:receive(5000), "last words")
  ends.fails("closed", client:receive(5000))
end

function tests.test_a_collected_pipe_is_closed()
  local server, client = ends.pair()
  assert(server:send "last words")
  server = nil -- luacheck: ignore 311
  collectgarbage()
  collectgarbage()
  t.assertEquals(client:receive(5000), "last words")
  ends.fails("closed", client:receive(5000))
end

function tests.test_the_name_is_free_at_once()
  local name = t.name()
  for _ = 1, 50 do
    local server = assert(pipe.create(name, { first = true }))
    local client = assert(pipe.open(name))
    assert(server:connect(5000))
    server:close()
    ends.fails("absent", pipe.open(name))
    ends.fails("closed", client:receive(5000))
  end
end

return tests
