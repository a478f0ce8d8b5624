-- SPDX-License-Identifier: MIT
-- What a handler may do besides its reply, and what ends it.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local serve = require "serve"
local t = require "pipehost.test"

local tests = {}

function tests.test_a_handler_may_send_receive_sleep_and_open_pipes()
  local other = serve.serve {
    on_message = function(_, message)
      pipe.sleep(1)
      return message .. "?"
    end,
  }
  local server = serve.serve {
    on_message = function(conn, message)
      assert(conn:send "a question")
      local answer = assert(conn:receive())
      pipe.sleep(1)
      local asked = assert(pipe.call(other.name, answer, { timeout = 10000 }))
      local task = pipe.spawn(function()
        assert(conn:send "from a task")
      end)
      ends.join(task)
      return message .. " " .. asked
    end,
  }
  local client = serve.open(server)
  for _, message in ipairs { "one", "two" } do
    assert(client:send(message))
    t.assertEquals(client:receive(), "a question")
    assert(client:send "an answer")
    t.assertEquals(client:receive(), "from a task")
    t.assertEquals(client:receive(), message .. " an answer?")
  end
end

function tests.test_messages_wait_while_a_handler_runs()
  local order = {}
  local server = serve.serve {
    on_message = function(_, message)
      order[#order + 1] = "begin " .. message
      pipe.sleep(message == "1" and 30 or 0)
      order[#order + 1] = "end " .. message
      return message
    end,
  }
  local client = serve.open(server)
  for i = 1, 3 do
    assert(client:send(tostring(i)))
  end
  for i = 1, 3 do
    t.assertEquals(client:receive(), tostring(i))
  end
  t.assertEquals(table.concat(order, ", "), "begin 1, end 1, begin 2, end 2, begin 3, end 3")
end

-- The client goes while its handler works.
local function client_goes(act)
  local log, begun, go = {}, pipe.event(), pipe.event()
  local server = serve.serve {
    on_message = function(conn)
      begun:set()
      go:wait()
      log[#log + 1] = act(conn) or "nothing"
      pipe.sleep(5)
      log[#log + 1] = "handler ends"
      return "too late"
    end,
  }
  local closed = server.options.on_close
  function server.options.on_close(...)
    log[#log + 1] = "on_close"
    closed(...)
  end
  local client = serve.open(server)
  assert(client:send "x")
  assert(begun:wait(10000))
  client:close()
  go:set()
  t.eventually(function()
    return log[3]
  end)
  t.assertEquals(log[2], "handler ends")
  t.assertEquals(log[3], "on_close")
  t.assertEquals(#log, 3)
  return log[1]
end

function tests.test_the_client_goes_meanwhile()
  t.assertEquals(client_goes(function(conn)
    return (select(2, conn:receive(10000)))
  end), "closed")
  t.assertEquals(client_goes(function(conn)
    local ok, code
    for _ = 1, 100 do -- the system takes some until it knows
      ok, code = conn:send(("x"):rep(60000), 10000)
      if not ok then
        break
      end
    end
    return code
  end), "closed")
  t.assertEquals(client_goes(function(conn)
    return (select(2, conn:transact("x", 10000)))
  end), "closed")
end

function tests.test_a_handler_that_closes()
  local server, reasons = serve.serve {
    on_message = function(conn)
      assert(conn:send "bye")
      conn:close()
      return "after the close"
    end,
  }
  local client = serve.open(server)
  assert(client:send "x")
  t.assertEquals(client:receive(), "bye")
  ends.fails("closed", client:receive())
  t.assertEquals(reasons(), "closed")
end

function tests.test_on_open_that_waits_holds_nobody_up()
  local go = pipe.event()
  local server = serve.serve {
    on_open = function(conn)
      if conn.id == 1 then
        go:wait()
      end
    end,
    on_message = function(conn)
      return tostring(conn.id)
    end,
  }
  local first = serve.open(server)
  assert(first:send "x")
  local second = serve.open(server)
  t.assertEquals(second:transact "x", "2")
  ends.fails("timeout", first:receive(20))
  go:set()
  t.assertEquals(first:receive(), "1")
end

function tests.test_on_open_may_talk_first()
  local server, reasons = serve.serve {
    on_open = function(conn)
      assert(conn:send "who?")
      conn.state.who = assert(conn:receive())
      if conn.state.who == "nobody" then
        return nil, "denied", "nobody is not served"
      end
    end,
    on_message = function(conn, message)
      return conn.state.who .. " says " .. message
    end,
  }
  local client, refused = serve.open(server), serve.open(server)
  t.assertEquals(client:receive(), "who?")
  assert(client:send "ann")
  t.assertEquals(client:transact "hello", "ann says hello")
  t.assertEquals(refused:receive(), "who?")
  assert(refused:send "nobody")
  ends.fails("closed", refused:receive())
  t.assertEquals(reasons(), "closed")
  t.assertEquals(client:transact "still", "ann says still")
end

function tests.test_on_error_that_only_disconnects()
  local server, reasons = serve.serve {
    on_error = "disconnect",
    on_message = function()
      error { "no text" }
    end,
  }
  local client = serve.open(server)
  assert(client:send "x")
  ends.fails("closed", client:receive())
  t.assertEquals(reasons(), "error")
end

function tests.test_a_session_that_raises_runs_its_close_variables()
  local closed = {}
  local server, reasons = serve.serve {
    session = function(conn)
      local _ <close> = setmetatable({}, {
        __close = function()
          pipe.sleep(1) -- it may wait there
          closed[#closed + 1] = conn:peer() and true
        end,
      })
      error "on purpose"
    end,
  }
  local client = serve.open(server)
  ends.fails("closed", client:receive())
  t.assertEquals(reasons(), "error")
  t.assertEquals(closed, { true })
end

-- Limits ------------------------------------------------------------------------

function tests.test_idle_timeout_counts_whole_messages_only()
  local Header = pipehost.struct("<", { { "length", "I2" } })
  local server, reasons = serve.serve {
    mode = "byte", frame = Header, idle_timeout = 150,
    on_message = function()
      pipe.sleep(300) -- a handler is not idle
      return "done"
    end,
  }
  local client = serve.open(server, { frame = Header })
  assert(client:send "x")
  t.assertEquals(client:receive(), "done")
  assert(client:write "\5\0abc") -- never whole
  ends.fails("closed", client:receive())
  t.assertEquals(reasons(), "timeout")
end

function tests.test_timeout_bounds_a_handlers_operations()
  local outcome
  local server, reasons = serve.serve {
    timeout = 30,
    on_message = function(conn)
      outcome = select(2, conn:receive())
      return "after " .. outcome
    end,
  }
  local client = serve.open(server)
  t.assertEquals(client:transact "x", "after timeout")
  client:close()
  t.assertEquals(reasons(), "closed")
end

function tests.test_a_message_as_long_as_max_message()
  local server, reasons = serve.serve {
    max_message = 1000,
    on_message = function(_, message)
      return message
    end,
  }
  local good, bad = serve.open(server), serve.open(server)
  t.assertEquals(#good:transact(("x"):rep(1000)), 1000)
  assert(bad:send(("x"):rep(1001)))
  ends.fails("closed", bad:receive())
  t.assertEquals(reasons(), "protocol")
  t.assertEquals(#good:transact(("x"):rep(1000)), 1000)
end

function tests.test_a_reply_longer_than_max_message()
  local server, reasons = serve.serve {
    max_message = 1000,
    on_message = function()
      return ("x"):rep(1001)
    end,
  }
  local client = serve.open(server)
  assert(client:send "x")
  ends.fails("closed", client:receive())
  t.assertEquals(reasons(), "error")
end

-- Several servers of a script -----------------------------------------------------

function tests.test_servers_of_one_script()
  local function new(word)
    return serve.serve {
      on_message = function(_, message)
        return message == "bad" and error "on purpose" or word .. message
      end,
    }
  end
  local a, b = new "a", new "b"
  local at_a, at_b = serve.open(a), serve.open(b)
  t.assertEquals(at_a:transact "1", "a1")
  t.assertEquals(at_b:transact "1", "b1")
  assert(at_a:send "bad")
  ends.fails("closed", at_a:receive())
  a:stop()
  t.assertTrue(a:wait(0))
  ends.fails("pending", b:wait(0))
  t.assertEquals(at_b:transact "2", "b2")
  t.assertEquals(b:broadcast "to b", 1)
  t.assertEquals(at_b:receive(), "to b")
end

function tests.test_options_with_a_near_name()
  local name = t.name()
  for wrong, right in pairs { max_queu = "max_queue", frames = "frame", on_mesage = "on_message", idletimeout = "idle_timeout" } do
    ends.raises(("unknown option '%s' (did you mean '%s'?)"):format(wrong, right), pipehost.server, {
      name = name, [wrong] = 1, on_message = print,
    })
  end
  for part, options in pairs {
    ["option 'max_queue' is a whole number from 1 to"] = { max_queue = 0 },
    ["'max_queue' is a whole number"] = { max_queue = 1.5 },
    ["option 'frame' needs mode = \"byte\""] = { frame = "lines" },
    ["option 'frame': it is \"lines\""] = { mode = "byte", frame = "line" },
    ["needs option 'frame'"] = { mode = "byte" },
  } do
    options.name, options.on_message = name, print
    ends.raises(part, pipehost.server, options)
  end
end

-- Checkpoints without a later generation -------------------------------------------

function tests.test_checkpoint_without_a_later_generation()
  local server, reasons = serve.serve {
    session = function(conn)
      for message in conn:messages() do
        t.assertEquals(select("#", conn:checkpoint()), 0)
        assert(conn:send(message))
      end
    end,
  }
  local client = serve.open(server)
  for _ = 1, 3 do
    t.assertEquals(client:transact "x", "x")
  end
  client:close()
  t.assertEquals(reasons(), "closed")
end

function tests.test_where_a_checkpoint_is_a_mistake()
  local function reply_of(options)
    local server = serve.serve(options)
    return serve.open(server):transact "x"
  end
  t.assertStrContains(reply_of {
    on_message = function(conn)
      return select(2, pcall(conn.checkpoint, conn))
    end,
  }, "checkpoint is for sessions")
  local function session_with(how)
    return {
      session = function(conn)
        conn:receive()
        local _, message = how(conn)
        conn:send(message)
      end,
    }
  end
  t.assertStrContains(reply_of(session_with(function(conn)
    return pcall(coroutine.wrap(function()
      conn:checkpoint()
    end))
  end)), "called by the session itself")
  t.assertStrContains(reply_of(session_with(function(conn)
    return pcall(function()
      return pipe.spawn(conn.checkpoint, conn):wait()
    end)
  end)), "called by the session itself")
  t.assertStrContains(reply_of(session_with(function(conn)
    return pcall(table.sort, { 2, 1 }, function()
      conn:checkpoint()
    end)
  end)), "conn:checkpoint cannot wait here")
end

return tests
