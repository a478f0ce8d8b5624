-- SPDX-License-Identifier: MIT
-- pipehost.handshake: time-outs of steps, the deadline of all, and further tries.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"
local talk = require "talk"

local s = pipehost.steps
local tests = {}

local LATE = 20000 -- ms, for what must not take as long as it could

local function timed(fn, ...)
  local begin = pipe.now()
  local result = fn(...)
  return pipe.now() - begin, result
end

function tests.test_a_step_has_its_own_time()
  local name = talk.answering {}
  local took, info = timed(talk.fails, "timeout", name, { s.expect("x", { timeout = 30 }) }, { timeout = LATE })
  t.assertTrue(took >= 29 and took < LATE)
  t.assertStrContains(info.message, "within 30 ms")
  -- And may have more than the others.
  local slow = talk.answering(function()
    pipe.sleep(150)
    return "x"
  end)
  talk.plays(slow, { s.send "a", s.expect("x", { timeout = LATE }) }, { timeout = 100 })
end

function tests.test_the_deadline_is_for_all()
  local name = talk.answering {}
  local took, info = timed(talk.fails, "timeout", name, { s.wait(20), s.expect "x" }, { timeout = LATE, deadline = 60 })
  t.assertTrue(took >= 59 and took < LATE)
  t.assertStrContains(info.message, "but nothing came before the deadline of 60 ms (timeout)")
  t.assertEquals(info.step.index, 2)
  took, info = timed(talk.fails, "timeout", name, { s.wait(LATE) }, { timeout = LATE, deadline = 30 })
  t.assertTrue(took >= 29 and took < LATE)
  t.assertStrContains(info.message, "step 1 (wait)")
  t.assertStrContains(info.message, "not done before the deadline of 30 ms (timeout)")
  took = timed(talk.fails, "timeout", t.name(), { s.close() }, { timeout = LATE, deadline = 30 })
  t.assertTrue(took < LATE)
end

function tests.test_a_deadline_ends_a_loop()
  local name = talk.answering(function(message)
    return message
  end)
  local function always()
    return true
  end
  local info = talk.fails("timeout", name, { s.loop(always, { s.send "a", s.expect "a" }) },
    { timeout = LATE, deadline = 40 })
  t.assertStrContains(info.message, "before the deadline of 40 ms")
  talk.fails("timeout", name, { s.loop(always, { s.call(function() end) }) }, { timeout = LATE, deadline = 40 })
end

function tests.test_a_list_has_a_deadline_of_its_own()
  local name = talk.answering {}
  local info = talk.fails("timeout", name, { s.wait(0), { deadline = 30, s.wait(1), s.expect "x" } },
    { timeout = LATE })
  t.assertStrContains(info.message, "step 2.2 (expect)")
  t.assertStrContains(info.message, "before the deadline of 30 ms")
  -- The nearer one counts, and it is over with the list.
  info = talk.fails("timeout", name, { { deadline = LATE, s.expect "x" } }, { timeout = LATE, deadline = 30 })
  t.assertStrContains(info.message, "before the deadline of 30 ms")
  talk.plays(name, { { deadline = 2000, s.wait(1) }, s.wait(2100) })
  info = talk.fails("timeout", name, { deadline = 30, name = "all", s.expect "x" }, { timeout = LATE })
  t.assertStrContains(info.message, "step 1 (all: expect)")
end

-- Tries ----------------------------------------------------------------------------------

function tests.test_tries_and_their_pauses()
  local took, info = timed(talk.fails, "timeout", t.name(), { s.close() },
    { timeout = 20, retry = { times = 2, backoff = 20 } })
  t.assertTrue(took >= 119, took) -- 20 + 20 + 20 + 40 + 20
  t.assertEquals(info.tries, 3)
  t.assertStrContains(info.message, ", after 3 tries")
  took = timed(talk.fails, "absent", t.name(), { s.close() },
    { wait = "no", retry = { times = 5, backoff = 10, factor = 1 } })
  t.assertTrue(took >= 49)
  local longest
  longest, info = timed(talk.fails, "absent", t.name(), { s.close() },
    { wait = "no", retry = { times = 6, backoff = 10, factor = 100, max_backoff = 15 } })
  t.assertTrue(longest >= 84 and longest < LATE)
  t.assertEquals(info.tries, 7)
  info = talk.fails("absent", t.name(), { s.close() }, { wait = "no" })
  t.assertEquals(info.tries, 1)
end

function tests.test_a_later_try_succeeds()
  local name = t.name()
  local task = pipe.spawn(talk.plays, name, { s.send "hello", s.expect("hello", { as = "it" }) },
    { wait = "no", retry = { times = 1000, backoff = 5, factor = 1 } })
  pipe.sleep(30)
  pipehost.server {
    name = name, on_message = function(_, message)
      return message
    end,
  }
  t.assertEquals(talk.join(task), { it = "hello" })
end

-- Captures of a try that failed are gone; a step in the middle is tried from the start.
function tests.test_each_try_begins_anew()
  local asked, tries = 0, 0
  local name = talk.answering(function(message)
    asked = asked + 1
    if asked == 3 then
      return "answer"
    elseif message == "first" then
      return "ok"
    end
  end)
  local result = talk.plays(name, {
    s.send "first", s.expect(s.any_of { "ok", "answer" }),
    s.capture("seen", function(c)
      tries = tries + 1
      return c.seen and "twice" or "once"
    end),
    s.branch(function()
      return tries == 1
    end, { s.send "second", s.expect("never", { timeout = 30 }) }),
  }, { retry = { times = 1, backoff = 1 } })
  t.assertEquals(result, { seen = "once" })
  t.assertEquals(tries, 2)
end

local function count_opens(options, steps)
  local opened = 0
  local server = pipehost.server {
    name = t.name(),
    on_open = function()
      opened = opened + 1
    end,
    on_message = function(conn, message)
      if message == "end" then
        conn:close()
        return
      end
      return "no"
    end,
  }
  options.pipe, options.steps, options.timeout = server.name, steps, LATE
  local _, code = pipehost.handshake(options)
  return code, opened
end

function tests.test_what_is_tried_again()
  local wrong, gone = { s.send "a", s.expect "yes" }, { s.send "end", s.expect "yes" }
  local function outcome(retry, steps)
    return { count_opens({ retry = retry }, steps) }
  end
  t.assertEquals(outcome({ times = 3, backoff = 1 }, wrong), { "protocol", 1 })
  t.assertEquals(outcome({ times = 3, backoff = 1 }, gone), { "closed", 1 })
  t.assertEquals(outcome({ times = 3, backoff = 1, on = { "closed" } }, gone), { "closed", 4 })
  t.assertEquals(outcome({ times = 2, backoff = 1, on = "protocol" }, wrong), { "protocol", 3 })
  t.assertEquals(outcome({ times = 2, backoff = 1, on = "closed" }, wrong), { "protocol", 1 })
end

function tests.test_a_busy_pipe_is_tried_again()
  local server = pipehost.server {
    name = t.name(), max_instances = 1, backlog = 1,
    on_message = function(_, message)
      return message
    end,
  }
  local first = assert(pipe.open(server.name, { timeout = LATE }))
  t.assertEquals(first:transact("a", LATE), "a")
  local waiting = pipe.open(server.name, { wait = "no" })
  local task = pipe.spawn(talk.plays, server.name, { s.send "b", s.expect("b", { as = "it" }) },
    { wait = "no", retry = { times = 2000, backoff = 5, factor = 1 } })
  pipe.sleep(30)
  first:close()
  if waiting then
    waiting:close()
  end
  t.assertEquals(talk.join(task), { it = "b" })
end

function tests.test_no_try_after_the_deadline()
  local took, info = timed(talk.fails, "absent", t.name(), { s.close() },
    { wait = "no", deadline = 100, retry = { times = math.huge, backoff = 30, factor = 1 } })
  t.assertTrue(took < LATE)
  t.assertTrue(info.tries >= 2 and info.tries <= 4)
  -- A pause that ends after the deadline is not waited for.
  took, info = timed(talk.fails, "absent", t.name(), { s.close() },
    { wait = "no", deadline = 1000, retry = { times = 5, backoff = LATE } })
  t.assertTrue(took < 1000)
  t.assertEquals(info.tries, 1)
end

return tests
