-- SPDX-License-Identifier: MIT
-- Faults of open and connect.
local faulty_pair = require "faulty_pair"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local LONG, fails, echo = faulty_pair.LONG, faulty_pair.fails, faulty_pair.echo
local tests = {}

local function ask(client)
  assert(client:send("x", LONG))
  return client:receive(LONG)
end

function tests.test_refuse_open()
  local name = t.name()
  local faults = t.faults(name, { { refuse = 2 } })
  echo(name)
  fails("absent", pipe.open(name, { wait = "no" }))
  fails("absent", pipe.open(name, { wait = "no" }))
  local client <close> = assert(pipe.open(name, { wait = "no" }))
  t.assertEquals(ask(client), "x")
  t.assertEquals({ faults:count "refuse", faults:count("units", "open") }, { 2, 3 })
end

function tests.test_an_open_that_waits_tries_again()
  local name = t.name()
  local faults = t.faults(name, { { refuse = 3 }, { busy = true, from = 4, to = 5 } })
  echo(name)
  local client <close> = assert(pipe.open(name, { timeout = LONG }))
  t.assertEquals(ask(client), "x")
  t.assertEquals({ faults:count "refuse", faults:count "busy" }, { 3, 2 })
  t.assertEquals(faults:count("operations", "open"), 1)
end

function tests.test_busy()
  local name = t.name()
  t.faults(name, { { busy = 1 } })
  echo(name)
  fails("busy", pipe.open(name, { wait = "no" }))
  local client <close> = assert(pipe.open(name))
  t.assertEquals(ask(client), "x")
end

function tests.test_busy_to_the_deadline()
  local name = t.name()
  t.faults(name, { { busy = true } })
  echo(name)
  fails("timeout", pipe.open(name, { timeout = 30, wait = "free" }))
end

function tests.test_refuse_connect()
  local name = t.name()
  local faults = t.faults(name, { { refuse = 2, on = "connect" } })
  echo(name)
  for _ = 1, 2 do
    local client <close> = assert(pipe.open(name, { timeout = LONG }))
    fails("closed", client:receive(LONG))
  end
  local client <close> = assert(pipe.open(name, { timeout = LONG }))
  t.assertEquals(ask(client), "x")
  t.assertEquals(faults:count("refuse", "connect"), 2)
end

function tests.test_fail_open()
  local name = t.name()
  t.faults(name, { { fail = "denied", on = "open", nth = 2 } })
  echo(name)
  for i = 1, 3 do
    local client, code, info = pipe.open(name, { timeout = LONG })
    if i == 2 then
      t.assertStrContains(tostring(fails("denied", client, code, info)), "fault")
    else
      t.assertEquals(ask(client), "x")
      client:close()
    end
  end
end

function tests.test_fail_connect()
  local name = t.name()
  local faults = t.faults(name, { { fail = "nomem", on = "connect", nth = 1 } })
  local server <close> = assert(pipe.create(name))
  local op = server:connect_op()
  local first <close> = assert(pipe.open(name, { timeout = LONG }))
  assert(op:wait(LONG))
  fails("nomem", op:result())
  fails("closed", first:receive(LONG))
  local second <close> = assert(pipe.open(name, { timeout = LONG }))
  assert(server:connect(LONG))
  assert(second:send("x", LONG))
  t.assertEquals(server:receive(LONG), "x")
  t.assertEquals(faults:count("operations", "connect"), 2)
end

-- A server of pipehost goes on with the next client.
function tests.test_a_server_whose_connect_fails()
  local name = t.name()
  t.faults(name, { { fail = "nomem", on = "connect", nth = 1 } })
  echo(name)
  local first <close> = assert(pipe.open(name, { timeout = LONG }))
  fails("closed", first:receive(LONG))
  local client <close> = assert(pipe.open(name, { timeout = LONG }))
  t.assertEquals(ask(client), "x")
end

function tests.test_a_server_whose_reply_is_lost()
  local name = t.name()
  local faults = t.faults(name, { side = "server", { drop = true, on = "out", nth = 1 } })
  echo(name)
  local client <close> = assert(pipe.open(name, { timeout = LONG }))
  assert(client:send("lost", LONG))
  assert(client:send("kept", LONG))
  t.assertEquals(client:receive(LONG), "kept")
  t.assertEquals({ faults:count("units", "in"), faults:count("units", "out") }, { 2, 2 })
end

return tests
