-- SPDX-License-Identifier: MIT
-- pipehost.handshake and pipehost.client.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local s = pipehost.steps
local tests = {}

local Info = pipehost.struct("<", { name = "INFO", { "age", "i4" } })

-- Answers by the table until it is told "end".
local function answering(answers)
  return pipehost.server {
    name = t.name(),
    on_message = function(conn, message)
      if message == "end" then
        conn:close()
        return
      end
      return answers[message]
    end,
  }
end

function tests.test_all_steps()
  local server = answering { ask = Info:pack { age = 3 }, hello = "welcome" }
  local trace = {}
  local result = assert(pipehost.handshake {
    pipe = server.name, timeout = 5000,
    trace = function(direction, bytes)
      trace[#trace + 1] = direction .. #bytes
    end,
    steps = {
      s.send "hello", s.expect("welcome", { as = "greeting" }), s.send("ask", { name = "question" }),
      s.expect(Info, { as = "info", timeout = 4000 }), s.send "end", s.expect_close(), s.close(),
    },
  })
  t.assertEquals(result, { greeting = "welcome", info = { age = 3 } })
  t.assertEquals(trace, { ">5", "<7", ">3", "<4", ">3" })
end

local function failing(code, steps, answers)
  local server = answering(answers or {})
  local result, got, info = pipehost.handshake { pipe = server.name, timeout = 100, steps = steps }
  t.assertNil(result)
  t.assertEquals(got, code)
  t.assertEquals(info.code, code)
  return info
end

function tests.test_another_literal()
  local info = failing("protocol", { s.send "a", s.expect("yes", { name = "agreement" }) }, { a = "no" })
  t.assertEquals(info.step, { index = 2, name = "agreement" })
  t.assertStrContains(info.message, "step 2 (agreement)")
  t.assertEquals(info.got, "no")
  t.assertStrContains(info.expected, "yes")
  t.assertEquals(info.transcript, { { direction = ">", bytes = "a" }, { direction = "<", bytes = "no" } })
end

function tests.test_a_structure_of_another_size()
  local info = failing("protocol", { s.send "a", s.expect(Info) }, { a = "12345" })
  t.assertEquals(info.step, { index = 2, name = "expect" })
  t.assertStrContains(info.expected, "INFO")
  t.assertStrContains(info.expected, "4 bytes")
  t.assertEquals(info.got, "12345")
end

function tests.test_a_time_out_names_its_step()
  local begin = pipe.now()
  local info = failing("timeout", { s.send "a", s.expect("x", { name = "slow", timeout = 30 }) })
  t.assertEquals(info.step, { index = 2, name = "slow" })
  t.assertTrue(pipe.now() - begin < 5000)
  t.assertEquals(#info.transcript, 1)
  info = failing("timeout", { s.expect "x" })
  t.assertEquals(info.step.index, 1)
end

function tests.test_the_server_closes_too_early_or_not_at_all()
  local info = failing("closed", { s.send "end", s.expect "x" })
  t.assertEquals(info.step.index, 2)
  info = failing("timeout", { s.expect_close { timeout = 30 } })
  t.assertEquals(info.step.name, "expect_close")
  info = failing("protocol", { s.send "a", s.expect_close() }, { a = "more" })
  t.assertEquals(info.got, "more")
end

function tests.test_a_pipe_that_is_not_there()
  local begin = pipe.now()
  local _, code, info = pipehost.handshake { pipe = t.name(), steps = { s.close() } }
  t.assertEquals(code, "absent")
  t.assertEquals(info.step, { index = 0, name = "open" })
  _, code = pipehost.handshake {
    pipe = t.name(), steps = { s.close() }, timeout = 20, retry = { times = 2, backoff = 20 },
  }
  t.assertEquals(code, "timeout")
  t.assertTrue(pipe.now() - begin >= 119) -- 20 + 20 + 20 + 40 + 20
end

function tests.test_a_retry_succeeds()
  local name = t.name()
  local task = pipe.spawn(pipehost.handshake, {
    pipe = name, steps = { s.send "hello", s.expect "hello" }, timeout = 5000,
    retry = { times = 50, backoff = 5 },
  })
  pipe.sleep(30)
  pipehost.server {
    name = name, on_message = function(_, message)
      return message
    end,
  }
  t.assertEquals(ends.join(task), {})
end

function tests.test_what_is_not_retried()
  local opened = 0
  local server = pipehost.server {
    name = t.name(),
    on_open = function()
      opened = opened + 1
    end,
    on_message = function()
      return "no"
    end,
  }
  local _, code = pipehost.handshake {
    pipe = server.name, steps = { s.send "a", s.expect "yes" }, timeout = 5000, retry = { times = 5, backoff = 1 },
  }
  t.assertEquals(code, "protocol")
  t.assertEquals(opened, 1)
end

function tests.test_steps_that_are_none()
  ends.raises("a string is sent", s.send, 5)
  ends.raises("a struct or a string", s.expect)
  ends.raises("unknown option", s.expect, "x", { at = "y" })
  ends.raises("option 'pipe'", pipehost.handshake, { steps = { s.close() } })
  ends.raises("list of steps", pipehost.handshake, { pipe = "x", steps = {} })
  ends.raises("step 2 is no step", pipehost.handshake, { pipe = "x", steps = { s.close(), "x" } })
end

function tests.test_client()
  local server = answering { a = "b" }
  t.assertEquals({ pipehost.client(server.name, { timeout = 5000 }, function(conn)
    return conn:transact "a", "second"
  end) }, { "b", "second" })
  local kept
  ends.raises("on purpose", pipehost.client, server.name, {}, function(conn)
    kept = conn
    error "on purpose"
  end)
  ends.raises("closed", kept.info, kept)
  ends.fails("absent", pipehost.client(t.name(), {}, error))
end

return tests
