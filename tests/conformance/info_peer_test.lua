-- SPDX-License-Identifier: MIT
-- What a pipe says about itself, and who is at the other end.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_info_of_a_server()
  local name = t.name()
  local server = assert(pipe.create(name, { max_instances = 3, max_message = 1234 }))
  local info = server:info()
  t.assertEquals(info.name, name)
  t.assertTrue(info.server)
  t.assertEquals(info.mode, "message")
  t.assertEquals(info.direction, "duplex")
  t.assertEquals(info.state, "listening")
  t.assertEquals(info.instances, 1)
  t.assertEquals(info.max_instances, 3)
  t.assertEquals(info.max_message, 1234)
  t.assertStrContains(info.path, name)
  local second = assert(pipe.create(name, { max_message = 1234 }))
  t.assertEquals(server:info().instances, 2)
  second:close()
  t.assertEquals(server:info().instances, 1)
end

function tests.test_the_states_of_a_server()
  local server, client = ends.pair { mode = "byte" }
  t.assertEquals(server:info().state, "connected")
  t.assertEquals(server:info().mode, "byte")
  t.assertEquals(server:info().max_instances, math.huge)
  client:close()
  ends.fails("closed", server:read(1, 5000))
  t.assertEquals(server:info().state, "connected")
  assert(server:disconnect())
  t.assertEquals(server:info().state, "disconnected")
end

function tests.test_info_of_a_client()
  local _, client, name = ends.pair({ mode = "byte" }, { max_message = 777 })
  local info = client:info()
  t.assertEquals(info.name, name)
  t.assertFalse(info.server)
  t.assertEquals(info.mode, "byte")
  t.assertEquals(info.state, "connected")
  t.assertEquals(info.max_message, 777)
end

function tests.test_open_takes_the_servers_mode_or_asks_for_one()
  for _, mode in ipairs { "message", "byte" } do
    local server, client, name = ends.pair { mode = mode }
    t.assertEquals(client:info().mode, mode)
    local second = assert(pipe.create(name, { mode = mode }))
    local other = mode == "byte" and "message" or "byte"
    ends.fails("mode", pipe.open(name, { mode = other }))
    ends.fails("mode", pipe.open(name, { mode = other, timeout = 1000 }))
    local third <close> = assert(pipe.open(name, { mode = mode })) -- luacheck: ignore 211
    t.assertNotNil(server)
    second:close()
  end
end

local function same_user(one, other)
  t.assertTrue(one.pid > 0)
  t.assertEquals(one.pid, other.pid)
  if t.system == "windows" then
    t.assertStrMatches(one.sid, "S%-1%-.*")
    t.assertEquals(one.sid, other.sid)
  else
    t.assertTrue(one.uid >= 0)
    t.assertEquals(one.uid, other.uid)
  end
end

function tests.test_peer_of_both_ends_is_this_process()
  local server, client = ends.pair()
  same_user(server:peer(), client:peer())
end

function tests.test_peer_of_one_that_has_gone()
  local server, client = ends.pair()
  local before = server:peer()
  client:close()
  ends.fails("closed", server:receive(5000))
  same_user(server:peer(), before)
end

function tests.test_peer_is_another_process()
  local name = t.name()
  local server = assert(pipe.create(name))
  local output = ends.run([[
    local pipe = require "pipehost.pipe"
    assert(pipe.open((...), { timeout = 5000 })):send "hello"
  ]], name)
  assert(server:connect(5000), output)
  t.assertEquals(server:receive(5000), "hello")
  local mine, mine_client = ends.pair()
  t.assertNotEquals(server:peer().pid, mine:peer().pid)
  t.assertNotNil(mine_client)
end

function tests.test_text_of_the_objects()
  local server = ends.pair()
  t.assertStrMatches(tostring(server), "pipe ph%-test.*")
  local op = server:receive_op()
  t.assertStrMatches(tostring(op), "receive of pipe .* %(pending%)")
  op:cancel()
  assert(op:wait(5000))
  t.assertStrMatches(tostring(op), "receive of pipe .* %(done%)")
  t.assertEquals(tostring(pipe.spawn(function() end)), "task (ready)")
end

function tests.test_a_failure_is_a_whole_sentence()
  local name = t.name()
  local ok, message = pcall(function()
    assert(pipe.open(name))
  end)
  t.assertFalse(ok)
  t.assertStrContains(message, "open " .. name .. ": there is no such pipe (absent, system error 2)")
  local info = select(3, pipe.open(name))
  t.assertEquals(info.op, "open")
  t.assertEquals(info.pipe, name)
  t.assertEquals(info.os, 2)
  t.assertEquals(info.message, tostring(info))
end

return tests
