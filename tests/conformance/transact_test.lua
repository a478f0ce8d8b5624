-- SPDX-License-Identifier: MIT
-- One message out, its reply back.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

-- Answers `count` messages.
local function answering(server, count)
  return pipe.spawn(function()
    for _ = 1, count do
      assert(server:send("re: " .. assert(server:receive(5000))))
    end
  end)
end

function tests.test_a_reply()
  local server, client = ends.pair()
  local task = answering(server, 4)
  t.assertEquals(client:transact("one", 5000), "re: one")
  t.assertEquals({ client:transact("", 5000) }, { "re: " })
  t.assertEquals(ends.finish(client:transact_op "three"), "re: three")
  t.assertEquals({ ends.finish(client:transact_op("four", 5000)) }, { "re: four" })
  ends.join(task)
end

function tests.test_an_empty_reply()
  local server, client = ends.pair()
  local op = client:transact_op "x"
  t.assertEquals(server:receive(5000), "x")
  assert(server:send "")
  t.assertEquals(ends.finish(op), "")
end

function tests.test_the_server_may_transact_too()
  local server, client = ends.pair()
  local task = answering(client, 1)
  t.assertEquals(server:transact("x", 5000), "re: x")
  ends.join(task)
end

function tests.test_busy_with_unread_data_and_nothing_is_sent()
  local server, client = ends.pair()
  assert(server:send "unread")
  t.eventually(function()
    return client:peek().available > 0
  end)
  ends.fails("busy", client:transact("x", 5000))
  ends.fails("busy", ends.finish(client:transact_op "x"))
  ends.fails("timeout", server:receive(0))
  t.assertEquals(client:receive(5000), "unread")
  local task = answering(server, 1)
  t.assertEquals(client:transact("y", 5000), "re: y")
  ends.join(task)
end

function tests.test_busy_with_part_of_a_message_unread()
  local server, client = ends.pair()
  assert(server:send "abcdef")
  t.assertEquals({ client:read(3, 5000) }, { "abc", true })
  ends.fails("busy", client:transact("x", 5000))
  t.assertEquals(client:receive(5000), "def")
end

function tests.test_busy_while_a_read_or_transact_is_pending()
  local server, client = ends.pair()
  local read = client:receive_op()
  ends.fails("busy", client:transact("x", 5000))
  assert(server:send "for the read")
  t.assertEquals(ends.finish(read), "for the read")
  local first = client:transact_op "first"
  ends.fails("busy", client:transact("second", 5000))
  ends.fails("busy", client:receive(5000))
  ends.fails("busy", client:send "x")
  t.assertEquals(server:receive(5000), "first")
  ends.fails("timeout", server:receive(0))
  assert(server:send "reply")
  t.assertEquals(ends.finish(first), "reply")
end

-- The request is delivered, the reply never is, and only close is left.
local function only_close(server, client)
  t.assertEquals(server:receive(5000), "request")
  assert(server:send "too late")
  for _, call in ipairs {
    function() return client:receive(1000) end,
    function() return client:read(10, 1000) end,
    function() return client:send "x" end,
    function() return client:transact("x", 1000) end,
    function() return ends.finish(client:receive_op(1000)) end,
  } do
    ends.fails("closed", call())
  end
  t.assertTrue(client:close())
  ends.fails("closed", server:receive(5000))
end

function tests.test_after_a_time_out_only_close_is_left()
  local server, client = ends.pair()
  ends.fails("timeout", client:transact("request", 30))
  only_close(server, client)
end

function tests.test_after_a_cancel_only_close_is_left()
  local server, client = ends.pair()
  local op = client:transact_op "request"
  ends.fails("pending", op:wait(20))
  op:cancel()
  ends.fails("cancelled", ends.finish(op))
  only_close(server, client)
end

function tests.test_the_peer_disconnects_or_closes()
  for _, way in ipairs { "disconnect", "close" } do
    for _, takes in ipairs { true, false } do
      local server, client = ends.pair()
      local op = client:transact_op "request"
      if takes then
        t.assertEquals(server:receive(5000), "request")
      end
      server[way](server)
      ends.fails("closed", ends.finish(op))
      ends.fails("closed", client:transact("again", 1000))
    end
  end
end

function tests.test_a_reply_that_is_too_long()
  local server, client = ends.pair({ max_message = 1000 }, { max_message = 100 })
  local op = client:transact_op "x"
  t.assertEquals(server:receive(5000), "x")
  assert(server:send(ends.pattern(150)))
  ends.fails("toobig", ends.finish(op))
  t.assertEquals({ client:read(1000, 5000) }, { ends.pattern(150), false })
end

function tests.test_a_request_that_is_too_long()
  local server, client = ends.pair({ max_message = 100 }, { max_message = 100 })
  ends.fails("toobig", client:transact(("x"):rep(101), 5000))
  ends.fails("timeout", server:receive(0))
  local task = answering(server, 1)
  t.assertEquals(client:transact("y", 5000), "re: y")
  ends.join(task)
end

function tests.test_needs_a_duplex_message_pipe()
  local bytes = ends.byte_pair()
  ends.raises("message mode", bytes.transact, bytes, "x")
  local inbound = ends.pair { direction = "inbound" }
  ends.fails("denied", inbound:send "x")
end

function tests.test_call()
  local name = t.name()
  local server = assert(pipe.create(name))
  local task = pipe.spawn(function()
    assert(server:connect(5000))
    assert(server:send("re: " .. server:receive(5000)))
    return select(2, server:receive(5000))
  end)
  t.assertEquals({ pipe.call(name, "question", { timeout = 5000 }) }, { "re: question" })
  t.assertEquals(ends.join(task), "closed")
end

function tests.test_call_has_one_deadline_for_everything()
  ends.fails("absent", pipe.call(t.name(), "x"))
  ends.fails("timeout", pipe.call(t.name(), "x", { timeout = 30 }))
  local name = t.name()
  local server = assert(pipe.create(name))
  local begin = pipe.now()
  ends.fails("timeout", pipe.call(name, "x", { timeout = 60 }))
  t.assertTrue(pipe.now() - begin >= 59)
  assert(server:connect(5000))
  t.assertEquals(server:receive(5000), "x")
  ends.fails("closed", server:receive(5000))
end

function tests.test_call_on_a_byte_pipe()
  local name = t.name()
  local server <close> = assert(pipe.create(name, { mode = "byte" })) -- luacheck: ignore 211
  ends.fails("mode", pipe.call(name, "x", { timeout = 1000 }))
end

function tests.test_call_checks_its_options()
  ends.raises("did you mean 'timeout'", pipe.call, t.name(), "x", { timeuot = 5 })
end

return tests
