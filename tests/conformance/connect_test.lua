-- SPDX-License-Identifier: MIT
-- Clients and instances: who comes when, and who must wait.
local ends = require "ends"
local lfs = require "lfs"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_a_client_before_connect()
  local name = t.name()
  local server = assert(pipe.create(name))
  local client = assert(pipe.open(name))
  assert(client:send "early")
  assert(server:connect(5000))
  t.assertEquals(server:receive(5000), "early")
  assert(server:send "answer")
  t.assertEquals(client:receive(5000), "answer")
end

function tests.test_a_connect_before_the_client()
  local name = t.name()
  local server = assert(pipe.create(name))
  local op = server:connect_op()
  ends.fails("pending", op:wait(10))
  local client = assert(pipe.open(name))
  t.assertTrue(ends.finish(op))
  t.assertEquals(server:info().state, "connected")
  assert(client:send "hello")
  t.assertEquals(server:receive(5000), "hello")
end

function tests.test_a_client_that_came_and_went()
  for _, message in ipairs { "left behind", "", false } do
    local name = t.name()
    local server = assert(pipe.create(name))
    local client = assert(pipe.open(name))
    if message then
      assert(client:send(message))
    end
    client:close()
    t.assertTrue(server:connect(5000))
    if message then
      t.assertEquals(server:receive(5000), message)
    end
    ends.fails("closed", server:receive(5000))
    ends.fails("closed", server:send "x")
  end
end

function tests.test_connect_of_the_connected_succeeds()
  local server, client = ends.pair()
  t.assertTrue(server:connect(0))
  t.assertTrue(ends.finish(server:connect_op()))
  assert(client:send "x")
  t.assertEquals(server:receive(5000), "x")
end

function tests.test_one_connect_at_a_time_and_only_of_an_instance()
  local name = t.name()
  local server = assert(pipe.create(name))
  local op = server:connect_op()
  ends.raises("pending", server.connect, server)
  local client = assert(pipe.open(name))
  t.assertTrue(ends.finish(op))
  ends.raises("created instance", client.connect, client)
end

function tests.test_calls_before_connect_raise()
  local server = assert(pipe.create(t.name()))
  for _, method in ipairs { "receive", "read", "peek", "peer", "disconnect", "read_op" } do
    ends.raises("connected", server[method], server)
  end
  for _, method in ipairs { "send", "write", "transact", "write_op" } do
    ends.raises("connected", server[method], server, "x")
  end
end

function tests.test_instances_of_one_name()
  local name = t.name()
  local servers, clients = {}, {}
  for i = 1, 20 do
    servers[i] = assert(pipe.create(name))
  end
  for i = 1, 20 do
    clients[i] = assert(pipe.open(name, { timeout = 5000, wait = "free" }))
    assert(clients[i]:send("client " .. i))
    assert(servers[i]:connect(5000))
  end
  for i = 1, 20 do
    t.assertEquals(servers[i]:receive(5000), "client " .. i)
  end
end

-- All instances taken: Windows says busy, Linux lets one more wait first.
local function fill(max)
  local name = t.name()
  local servers, clients, waiting = {}, {}, nil
  for i = 1, max do
    servers[i] = assert(pipe.create(name, { max_instances = max, backlog = 1 }))
    clients[i] = assert(pipe.open(name, { timeout = 5000, wait = "free" }))
    assert(servers[i]:connect(5000))
  end
  if t.system == "linux" then
    waiting = assert(pipe.open(name))
  end
  return name, servers, clients, waiting
end

function tests.test_more_clients_than_instances_are_busy()
  for max = 1, 3 do
    local name, servers, clients, waiting = fill(max)
    ends.fails("busy", pipe.open(name))
    ends.fails("busy", pipe.open(name, { timeout = 0 }))
    ends.fails("busy", pipe.open(name, { wait = "no", timeout = 5000 }))
    ends.fails("timeout", pipe.open(name, { wait = "free", timeout = 30 }))
    ends.fails("timeout", pipe.available(name, 30))
    t.assertEquals(#servers + #clients, 2 * max)
    t.assertEquals(waiting ~= nil, t.system == "linux")
  end
end

function tests.test_who_waits_gets_the_place_that_becomes_free()
  local name, servers, clients, waiting = fill(2)
  local opener = pipe.spawn(function()
    local client = assert(pipe.open(name, { wait = "free", timeout = 10000 }))
    assert(client:send "at last")
    return client
  end)
  clients[1]:close()
  assert(servers[1]:disconnect())
  assert(servers[1]:connect(5000))
  if waiting then -- it was first
    assert(waiting:send "me first")
    t.assertEquals(servers[1]:receive(5000), "me first")
    assert(servers[1]:disconnect())
    assert(servers[1]:connect(5000))
  end
  t.assertEquals(servers[1]:receive(5000), "at last")
  ends.join(opener)
end

function tests.test_available_waits_for_a_free_place()
  local name, servers, _, waiting = fill(1)
  local task = pipe.spawn(pipe.available, name, 10000)
  pipe.sleep(5)
  assert(servers[1]:disconnect())
  if waiting then
    assert(servers[1]:connect(5000))
    assert(servers[1]:disconnect())
  end
  local connecting <close> = servers[1]:connect_op() -- luacheck: ignore 211
  t.assertTrue(ends.join(task))
end

function tests.test_available_now()
  for max = 1, 2 do
    local name = fill(max)
    ends.fails("busy", pipe.available(name, 0))
  end
  ends.fails("absent", pipe.available(t.name(), 0))
  local name = t.name()
  local server <close> = assert(pipe.create(name)) -- luacheck: ignore 211
  t.assertTrue(pipe.available(name, 0))
end

function tests.test_available_never_connects()
  local name = t.name()
  ends.fails("absent", pipe.available(name))
  ends.fails("absent", pipe.available(name, 5000))
  local server = assert(pipe.create(name))
  for _ = 1, 20 do
    t.assertTrue(pipe.available(name, 1000))
  end
  ends.fails("timeout", server:connect(20))
end

function tests.test_a_pipe_that_appears_later()
  local name = t.name()
  local opener = pipe.spawn(pipe.open, name, { timeout = 10000 })
  pipe.sleep(50)
  local server = assert(pipe.create(name))
  assert(server:connect(5000))
  local client = ends.join(opener)
  assert(client:send "found you")
  t.assertEquals(server:receive(5000), "found you")
end

function tests.test_a_pipe_that_never_appears()
  local begin = pipe.now()
  local info = ends.fails("timeout", pipe.open(t.name(), { timeout = 60 }))
  t.assertStrContains(info.message, "absent")
  local took = pipe.now() - begin
  t.assertTrue(took >= 59 and took < 5000, took)
  ends.fails("absent", pipe.open(t.name()))
  ends.fails("absent", pipe.open(t.name(), { wait = "no", timeout = 5000 }))
  ends.fails("absent", pipe.open(t.name(), { wait = "free", timeout = 5000 }))
end

function tests.test_the_server_goes_while_a_client_waits()
  local name, servers, clients, waiting = fill(1)
  local opener = pipe.spawn(function()
    return pipe.open(name, { wait = "free", timeout = 3000 })
  end)
  pipe.sleep(20)
  servers[1]:close()
  clients[1]:close()
  local got, code = ends.join(opener)
  t.assertNil(got)
  t.assertTrue(code == "absent" or code == "timeout", code)
  if waiting then
    ends.fails("closed", waiting:receive(5000))
  end
end

function tests.test_the_same_instance_connects_again()
  local name = t.name()
  local server = assert(pipe.create(name, { max_instances = 1 }))
  for i = 1, 50 do
    local client = assert(pipe.open(name, { wait = "free", timeout = 5000 }))
    assert(client:send("client " .. i))
    assert(server:connect(5000))
    t.assertEquals(server:receive(5000), "client " .. i)
    assert(server:disconnect())
    t.assertEquals(server:info().state, "disconnected")
    ends.fails("closed", client:receive(5000))
    client:close()
  end
end

function tests.test_what_the_last_client_left_is_not_the_next_ones()
  local name = t.name()
  local server = assert(pipe.create(name))
  local client = assert(pipe.open(name))
  assert(server:connect(5000))
  for _ = 1, 3 do
    assert(client:send "for nobody")
  end
  t.assertEquals({ server:read(3, 5000) }, { "for", true })
  assert(server:disconnect())
  local other = assert(pipe.open(name, { wait = "free", timeout = 5000 }))
  assert(server:connect(5000))
  assert(other:send "for you")
  t.assertEquals(server:receive(5000), "for you")
end

local function descriptors()
  local count = 0
  for _ in lfs.dir "/proc/self/fd" do
    count = count + 1
  end
  return count
end

function tests.test_200_connects_and_disconnects()
  local name = t.name()
  local function round(first)
    local server = assert(pipe.create(name, { first = first, timeout = 5000 }))
    local client = assert(pipe.open(name))
    assert(server:connect(5000))
    assert(client:send "x")
    t.assertEquals(server:receive(5000), "x")
    client:close()
    ends.fails("closed", server:receive(5000))
    server:close()
  end
  round(true)
  collectgarbage()
  local before, memory = t.system == "linux" and descriptors(), collectgarbage "count"
  for _ = 1, 200 do
    round(true)
  end
  collectgarbage()
  t.assertTrue(collectgarbage "count" < memory + 50, "memory grows")
  if before then
    t.assertEquals(descriptors(), before)
  end
end

function tests.test_connect_against_close_2000_times()
  local name = t.name()
  local keeper = assert(pipe.create(name)) -- so that the name stays
  for i = 1, 2000 do
    local server = assert(pipe.create(name))
    local op = server:connect_op()
    local client
    if i % 3 == 0 then
      client = assert(pipe.open(name, { wait = "free", timeout = 5000 }))
    elseif i % 3 == 1 then
      pipe.sleep(0)
    end
    server:close()
    local ok, code = ends.finish(op)
    t.assertTrue(ok or code == "cancelled", code)
    if client and ok then
      ends.fails("closed", client:receive(5000))
    elseif client then -- it waits for another instance now
      assert(keeper:connect(5000))
      assert(client:send "still here")
      t.assertEquals(keeper:receive(5000), "still here")
      assert(keeper:disconnect())
    end
  end
end

return tests
