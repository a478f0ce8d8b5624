-- SPDX-License-Identifier: MIT
-- conn:post, server:broadcast, and what a client that does not read costs.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local serve = require "serve"
local t = require "pipehost.test"

local tests = {}

local LONG = ("l"):rep(60000)

-- The server's connection of its only client.
local function connection(server)
  return t.eventually(function()
    return server:connections()()
  end, 10000)
end

local function quiet_server(options)
  options = options or {}
  options.on_message = options.on_message or function() end
  return serve.serve(options)
end

-- Posts numbered messages until one is refused; the number of those queued.
local function fill(conn, size)
  local queued, ok, code, info = 0, nil, nil, nil
  repeat
    ok, code, info = conn:post(("%06d"):format(queued + 1) .. ("f"):rep(size - 6))
    queued = queued + (ok and 1 or 0)
  until not ok or queued == 20000
  ends.fails("busy", ok, code, info)
  return queued
end

local function read_filled(client, count, size)
  for i = 1, count do
    local message = client:receive(10000)
    t.assertEquals(message:sub(1, 6), ("%06d"):format(i))
    t.assertEquals(#message, size)
  end
end

function tests.test_order_with_replies()
  local server = quiet_server {
    on_message = function(conn, message)
      assert(conn:post("before " .. message))
      pipe.spawn(function()
        pipe.sleep(1)
        conn:post "later"
      end)
      assert(conn:send "sent")
      assert(conn:post "between")
      return "reply"
    end,
  }
  local client = serve.open(server)
  assert(client:send "x")
  for _, expected in ipairs { "before x", "sent", "between", "reply", "later" } do
    t.assertEquals(client:receive(), expected)
  end
end

function tests.test_a_reply_waits_for_what_was_posted_before_it()
  local server = quiet_server {
    on_message = function(conn, message)
      local count = fill(conn, #LONG)
      return message .. count
    end,
  }
  local client = serve.open(server)
  assert(client:send "reply ")
  t.eventually(function()
    return client:peek().available > 0
  end)
  local first, count = client:receive(), 1
  while not first:find "^reply" do
    t.assertEquals(first:sub(1, 6), ("%06d"):format(count))
    first, count = client:receive(), count + 1
  end
  t.assertEquals(first, "reply " .. count - 1)
end

function tests.test_a_slow_reader_costs_max_queue_at_most()
  local server = quiet_server { max_queue = 3 }
  local client = serve.open(server)
  local conn = connection(server)
  local queued = fill(conn, #LONG)
  t.assertTrue(queued > 3, queued) -- the system took some
  ends.fails("busy", conn:post "x")
  read_filled(client, queued, #LONG)
  t.assertTrue(conn:post "again")
  t.assertEquals(client:receive(), "again")
end

-- How much a connection takes whose client does not read: what the system has
-- room for, and the queue.
local function capacity(max_queue, max_message)
  local size = math.min(max_message, 3000)
  local server = quiet_server { max_queue = max_queue, max_message = max_message }
  local client = serve.open(server)
  local queued = fill(connection(server), size)
  read_filled(client, queued, size)
  return queued
end

function tests.test_the_default_of_max_queue()
  t.assertEquals(capacity(nil, 65536) - capacity(1, 65536), 63)
end

function tests.test_the_bytes_that_wait_are_limited_too()
  t.assertEquals(capacity(100000, 1000) - capacity(1, 1000), 15)
end

function tests.test_what_was_posted_before_a_close_goes_out()
  for _, finish in ipairs {
    function(conn)
      conn:close()
    end,
    function()
      return nil, "protocol", "no more"
    end,
    function()
      error "on purpose"
    end,
  } do
    local queued
    local server = quiet_server {
      max_queue = 5,
      on_message = function(conn)
        queued = fill(conn, #LONG)
        return finish(conn)
      end,
    }
    local client = serve.open(server)
    assert(client:send "go")
    t.eventually(function()
      return queued
    end)
    read_filled(client, queued, #LONG)
    ends.fails("closed", client:receive())
  end
end

function tests.test_what_was_posted_before_a_stop_goes_out()
  local server = quiet_server { max_queue = 5 }
  local client = serve.open(server)
  local queued = fill(connection(server), #LONG)
  local stopping = pipe.spawn(server.stop, server)
  read_filled(client, queued, #LONG)
  ends.fails("closed", client:receive())
  assert(ends.join(stopping))
end

function tests.test_a_client_that_goes_with_a_queue()
  local server, reasons = quiet_server { max_queue = 5 }
  local client = serve.open(server)
  fill(connection(server), #LONG)
  client:close()
  t.assertEquals(reasons(), "closed")
end

function tests.test_what_cannot_be_posted()
  local server = quiet_server { max_message = 10 }
  local client = serve.open(server)
  local conn = connection(server)
  ends.fails("toobig", conn:post "12345678901")
  ends.raises("string expected", conn.post, conn, {})
  ends.raises("only a server's connection has post", client.post, client, "x")
  ends.raises("only a server's connection has checkpoint", client.checkpoint, client)
  client:close()
  t.eventually(function()
    return not server:connections()()
  end)
  ends.fails("closed", conn:post "x")
end

function tests.test_on_bytes()
  local server = serve.serve {
    mode = "byte", max_message = 20,
    session = function(conn)
      assert(conn:post "ab")
      assert(conn:post "c")
      ends.fails("toobig", conn:post(("x"):rep(21)))
      conn:read(1)
    end,
  }
  local client = serve.open(server)
  t.equal_bytes(client:read_exact(3), "abc")
  local Header = pipehost.struct("<", { { "length", "I2" } })
  server = serve.serve { mode = "byte", frame = Header, on_message = function() end }
  client = serve.open(server)
  assert(connection(server):post "ab")
  t.equal_bytes(client:read_exact(4), "\2\0ab")
  t.assertEquals(server:broadcast "c", 1)
  t.equal_bytes(client:read_exact(3), "\1\0c")
end

function tests.test_broadcast()
  local server = quiet_server {
    on_message = function(conn, message)
      return ("to %d"):format(conn.server:broadcast(message, conn))
    end,
  }
  t.assertEquals(server:broadcast "nobody", 0)
  local clients = { serve.open(server), serve.open(server), serve.open(server) }
  assert(clients[1]:send "hello")
  t.assertEquals(clients[1]:receive(), "to 2")
  t.assertEquals(clients[2]:receive(), "hello")
  t.assertEquals(clients[3]:receive(), "hello")
  t.assertEquals(server:broadcast "all", 3)
  for _, client in ipairs(clients) do
    t.assertEquals(client:receive(), "all")
  end
  ends.raises("string expected", server.broadcast, server)
  ends.raises("pipehost.pipe expected", server.broadcast, server, "x", {})
  server:stop()
  t.assertEquals(server:broadcast "late", 0)
end

function tests.test_broadcast_leaves_out_who_does_not_read()
  local server = quiet_server { max_queue = 2 }
  local slow = serve.open(server)
  local queued = fill(connection(server), #LONG)
  local quick = serve.open(server)
  t.eventually(function()
    return server:broadcast "x" == 1
  end)
  t.assertEquals(quick:receive(), "x")
  read_filled(slow, queued, #LONG)
  ends.fails("timeout", slow:receive(20))
end

-- The next message is taken when the reply is with the system.
function tests.test_a_client_that_does_not_read_is_not_read_from()
  local handled = 0
  local server = quiet_server {
    on_message = function()
      handled = handled + 1
      return LONG
    end,
  }
  local client = serve.open(server)
  local sent = 0
  while sent < 2000 and client:send(LONG, 200) do
    sent = sent + 1
  end
  t.assertTrue(sent < 2000, "nothing held the client back")
  local before = handled
  pipe.sleep(50)
  t.assertEquals(handled, before)
  t.assertTrue(handled <= sent)
  for _ = 1, sent do
    t.assertEquals(#client:receive(), #LONG)
  end
end

return tests
