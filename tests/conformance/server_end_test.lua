-- SPDX-License-Identifier: MIT
-- pipehost.server: how connections and servers end.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local tests = {}

-- A server of a fresh name, whose on_close reasons are gathered.
local function serve(options)
  local reasons, ended = {}, pipe.event()
  options.name = t.name()
  options.on_close = function(_, reason)
    reasons[#reasons + 1] = reason
    ended:set()
  end
  local server = pipehost.server(options)
  local function reason()
    assert(ended:wait(5000))
    return table.concat(reasons, " ")
  end
  return server, reason
end

local function open(server)
  return assert(pipe.open(server.name, { wait = "free", timeout = 5000 }))
end

local function echo(_, message)
  return message
end

function tests.test_on_open_refuses()
  local server, reason = serve {
    on_open = function()
      return nil, "denied"
    end,
    on_message = echo,
  }
  local client = open(server)
  client:send "x"
  ends.fails("closed", client:receive(5000))
  t.assertEquals(reason(), "closed")
end

local function ends_for(expected, options, act)
  local server, reason = serve(options)
  local client = open(server)
  if act then
    act(client)
  end
  repeat
    local message, code = client:receive(5000)
  until not message or code
  t.assertEquals(reason(), expected)
end

function tests.test_reasons_of_on_close()
  ends_for("closed", {
    on_message = function(conn)
      conn:close()
    end,
  }, function(client)
    assert(client:send "bye")
  end)
  ends_for("timeout", { on_message = echo, idle_timeout = 30 })
  ends_for("error", {
    on_message = function()
      error "on purpose"
    end,
  }, function(client)
    assert(client:send "x")
  end)
  ends_for("error", {
    on_message = function()
      return { "no string" }
    end,
  }, function(client)
    assert(client:send "x")
  end)
  ends_for("protocol", {
    on_message = function()
      return nil, "protocol", "not what was agreed"
    end,
  }, function(client)
    assert(client:send "x")
  end)
  ends_for("protocol", { on_message = echo, max_message = 10 }, function(client)
    assert(client:send(("x"):rep(11)))
  end)
end

function tests.test_a_client_that_does_not_read_times_out()
  local server, reason = serve {
    timeout = 50, on_message = function()
      return ("r"):rep(60000)
    end,
  }
  local client = open(server)
  local sender = pipe.spawn(function()
    local message = ("x"):rep(1000)
    while client:send(message, 2000) do end -- luacheck: ignore 542
  end)
  t.assertEquals(reason(), "timeout")
  ends.join(sender)
end

function tests.test_idle_time_counts_from_the_last_message()
  local server, reason = serve { on_message = echo, idle_timeout = 120 }
  local client = open(server)
  local begin = pipe.now()
  for _ = 1, 4 do
    pipe.sleep(50)
    t.assertEquals(client:transact("still here", 5000), "still here")
  end
  ends.fails("closed", client:receive(5000))
  t.assertTrue(pipe.now() - begin >= 300)
  t.assertEquals(reason(), "timeout")
end

function tests.test_an_error_ends_only_its_client()
  local server, reason = serve {
    on_message = function(_, message)
      return message == "bad" and error "on purpose" or message
    end,
  }
  local good, bad = open(server), open(server)
  t.assertEquals(good:transact("one", 5000), "one")
  assert(bad:send "bad")
  ends.fails("closed", bad:receive(5000))
  t.assertEquals(reason(), "error")
  t.assertEquals(good:transact("two", 5000), "two")
  t.assertEquals(open(server):transact("three", 5000), "three")
end

function tests.test_on_error_gets_the_traceback()
  local got
  local server, reason = serve {
    on_message = function()
      pipe.sleep(1)
      error "on purpose"
    end,
    on_error = function(conn, message)
      got = { conn.id, message }
      error "again"
    end,
  }
  local client = open(server)
  assert(client:send "x")
  ends.fails("closed", client:receive(5000))
  t.assertEquals(reason(), "error")
  t.assertEquals(got[1], 1)
  t.assertStrContains(got[2], "on purpose")
  t.assertStrContains(got[2], "stack traceback:")
end

function tests.test_stop_drains()
  local begun = pipe.event()
  local server, reason = serve {
    on_message = function(_, message)
      begun:set()
      pipe.sleep(30)
      return "re: " .. message
    end,
  }
  local busy, idle = open(server), open(server)
  t.assertEquals(idle:transact("x", 5000), "re: x")
  begun:reset()
  assert(busy:send "one")
  assert(busy:send "two")
  assert(begun:wait(5000))
  ends.fails("pending", server:wait(0))
  local stopper = pipe.spawn(server.stop, server)
  t.assertEquals(busy:receive(5000), "re: one")
  t.assertEquals(busy:receive(5000), "re: two")
  ends.fails("closed", busy:receive(5000))
  ends.fails("closed", idle:receive(5000))
  t.assertTrue(ends.join(stopper))
  t.assertTrue(server:wait(5000))
  t.assertEquals(reason(), "stopped stopped")
  ends.fails("absent", pipe.open(server.name))
  t.assertTrue(server:stop())
end

function tests.test_stop_cuts_who_is_not_done_in_time()
  local outcome
  local server, reason = serve {
    session = function(conn)
      outcome = table.pack(conn:receive())
    end,
  }
  local client = open(server)
  t.eventually(function()
    return server:connections()()
  end)
  local begin = pipe.now()
  server:stop(50)
  t.assertTrue(pipe.now() - begin < 4000)
  ends.fails("closed", client:receive(5000))
  t.assertEquals(reason(), "stopped")
  local info = ends.fails("closed", table.unpack(outcome, 1, outcome.n))
  t.assertEquals(info.by, "host")
end

return tests
