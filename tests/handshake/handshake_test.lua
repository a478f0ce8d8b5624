-- SPDX-License-Identifier: MIT
-- pipehost.handshake: each step on message pipes, and what is kept.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"
local talk = require "talk"

local s = pipehost.steps
local tests = {}

local Info = pipehost.struct("<", { name = "INFO", { "age", "i4" }, { "tag", "char[4]", default = "" } })

local function echo()
  return talk.answering(function(message)
    return message
  end)
end

function tests.test_a_whole_conversation()
  local name = talk.answering { ask = Info:pack { age = 3, tag = "x" }, hello = "welcome" }
  local trace = {}
  local result, events = talk.plays(name, {
    s.send "hello", s.expect("welcome", { as = "greeting" }), s.send("ask", { name = "question" }),
    s.expect(Info, { as = "info", timeout = 15000 }), s.send "end", s.expect_close(), s.close(),
  }, {
    trace = function(direction, bytes)
      trace[#trace + 1] = direction .. #bytes
    end,
  })
  t.assertEquals(result, { greeting = "welcome", info = { age = 3, tag = "x" } })
  t.assertEquals(trace, { ">5", "<7", ">3", "<8", ">3" })
  local answer = Info:pack { age = 3, tag = "x" }
  t.assertEquals(talk.said(events),
    { "open", ">hello", "<welcome", ">ask", "<" .. answer, ">end", "closed", "close" })
  t.assertEquals(events[4].step, "3")
  t.assertTrue(events[1].ms >= 0 and events[8].ms >= events[1].ms)
end

function tests.test_what_is_sent()
  local result = talk.plays(echo(), {
    s.send "text", s.expect "text",
    s.send "", s.expect("", { as = "empty" }),
    s.send(Info, { age = 7, tag = "a" }), s.expect(Info, { as = "first" }),
    s.send(function(c)
      return "age " .. c.first.age
    end, { name = "made" }), s.expect "age 7",
    s.send(Info, function(c)
      return { age = c.first.age + 1 }
    end), s.expect(Info, { as = "second" }),
  })
  t.assertEquals(result, { empty = "", first = { age = 7, tag = "a" }, second = { age = 8, tag = "" } })
end

-- What is expected ---------------------------------------------------------------

local function kept(message, what, options)
  options = options or {}
  options.as = options.as or "it"
  return talk.plays(echo(), { s.send(message), s.expect(what, options) })
end

function tests.test_patterns_keep_their_captures()
  t.assertEquals(kept("OK 12", s.pattern "^OK %d+$"), { it = "OK 12" })
  t.assertEquals(kept("OK 12", s.pattern "^OK (%d+)$"), { it = "12" })
  t.assertEquals(kept("OK 12 ann", s.pattern "^OK (%d+) (%a+)$"), { it = { "12", "ann" } })
  t.assertEquals(kept("a\0b\n", s.pattern "%z()b"), { it = 3 })
  t.assertEquals(kept("OK 12 ann", s.pattern("^OK (%d+) (%a+)$", { "count", "who" })),
    { it = { count = "12", who = "ann" }, count = "12", who = "ann" })
  local result = talk.plays(echo(), { s.send "id=5", s.expect(s.pattern("=(%d)", { "id" })) })
  t.assertEquals(result, { id = "5" })
  talk.fails("protocol", echo(), { s.send "OK", s.expect(s.pattern "^OK (%d+)$") })
end

function tests.test_functions_accept_and_translate()
  t.assertEquals(kept("12", function(data)
    return tonumber(data) == 12
  end), { it = "12" })
  t.assertEquals(kept("12", tonumber), { it = 12 })
  local result = talk.plays(echo(), {
    s.send "5", s.expect(tonumber, { as = "n" }),
    s.send "25", s.expect(function(data, c)
      return tonumber(data) == c.n * c.n
    end),
  })
  t.assertEquals(result, { n = 5 })
end

function tests.test_fields_of_a_struct()
  local bytes = Info:pack { age = 3, tag = "x" }
  t.assertEquals(kept(bytes, Info, { fields = { age = 3 } }), { it = { age = 3, tag = "x" } })
  local info = talk.fails("protocol", echo(), { s.send(bytes), s.expect(Info, { fields = { tag = "y" } }) })
  t.assertStrContains(info.message, [[field 'tag': expected "y", got "x"]])
end

function tests.test_inner_fields_of_a_struct()
  local Outer = pipehost.struct("<", {
    { "head", Info }, { "list", "I1", count = 3 }, { "mode", "I1", flags = { read = 1, write = 2 } },
  })
  local bytes = Outer:pack { head = { age = 3, tag = "x" }, list = { 1, 2, 3 }, mode = { read = true } }
  local fields = { head = { age = 3 }, list = { [2] = 2 }, mode = { read = true } }
  t.assertEquals(kept(bytes, Outer, { fields = fields }).it.head.tag, "x")
  for why, wrong in pairs {
    ["field 'head.age': expected 4, got 3"] = { head = { age = 4 } },
    ["field 'list[3]': expected 4, got 3"] = { list = { [3] = 4 } },
    ["field 'mode.write': expected true, got nil"] = { mode = { write = true } },
  } do
    local info = talk.fails("protocol", echo(), { s.send(bytes), s.expect(Outer, { fields = wrong }) })
    t.assertStrContains(info.message, why)
  end
end

function tests.test_structs_of_variable_size()
  local Named = pipehost.struct("<", { name = "named", { "id", "I2" }, { "text", "s2" } })
  t.assertEquals(kept(Named:pack { id = 1, text = "hello" }, Named), { it = { id = 1, text = "hello" } })
  talk.fails("protocol", echo(), { s.send "x", s.expect(Named) })
end

function tests.test_alternatives()
  local choice = s.any_of {
    s.expect("yes", { as = "agreed" }), s.expect(Info, { as = "info" }), s.pattern "^no: (.*)$", tonumber,
  }
  t.assertEquals(kept("yes", choice), { it = "yes", agreed = "yes" })
  t.assertEquals(kept("no: full up", choice), { it = "full up" })
  t.assertEquals(kept("17", choice), { it = 17 })
  t.assertEquals(talk.plays(echo(), { s.send(Info, { age = 1 }), choice }), { info = { age = 1, tag = "" } })
  talk.fails("protocol", echo(), { s.send "perhaps", choice })
  -- The first one counts.
  t.assertEquals(kept("12", s.any_of { s.pattern "%d", tonumber }), { it = "12" })
  t.assertEquals(kept("b", s.any_of { "a", s.any_of { "b", "c" } }), { it = "b" })
end

function tests.test_the_end_as_an_alternative()
  local either = s.any_of { "more", s.expect_close() }
  t.assertEquals(talk.plays(echo(), { s.send "more", either, s.send "end", either }), {})
  talk.fails("protocol", echo(), { s.send "less", either })
end

-- Other steps ------------------------------------------------------------------------

function tests.test_branches()
  local function play(version)
    local took = {}
    local function take(what)
      return s.call(function()
        took[#took + 1] = what
      end)
    end
    local steps = {
      s.send(tostring(version)), s.expect(tonumber, { as = "version" }),
      s.branch(function(c)
        return c.version >= 2
      end, { take "new", s.branch(function(c)
        return c.version > 2
      end, { take "newest" }) }, take "old"),
      take "both",
    }
    talk.plays(echo(), steps)
    return took
  end
  t.assertEquals(play(1), { "old", "both" })
  t.assertEquals(play(2), { "new", "both" })
  t.assertEquals(play(3), { "new", "newest", "both" })
end

function tests.test_loops()
  local result, events = talk.plays(echo(), {
    s.capture("left", function()
      return 3
    end),
    s.loop(function(c)
      return c.left > 0
    end, {
      s.send(function(c)
        return "left " .. c.left
      end),
      s.expect(s.pattern "^left %d$"),
      s.capture("left", function(c)
        return c.left - 1
      end),
    }),
  })
  t.assertEquals(result, { left = 0 })
  t.assertEquals(talk.said(events),
    { "open", ">left 3", "<left 3", ">left 2", "<left 2", ">left 1", "<left 1" })
  t.assertEquals(events[2].step, "2.1")
end

function tests.test_captures_and_calls()
  local seen
  local result = talk.plays(echo(), {
    s.capture("a", function()
      return 1
    end),
    s.call(function(c, conn)
      seen = { c.a, conn:info().mode, conn:transact "x" }
      c.b = 2
    end),
  })
  t.assertEquals(result, { a = 1, b = 2 })
  t.assertEquals(seen, { 1, "message", "x" })
end

function tests.test_code_can_end_it()
  local function ends(step)
    return talk.fails("denied", echo(), { s.send "x", step })
  end
  local function refuse()
    return nil, "denied", "not today"
  end
  for _, step in ipairs { s.call(refuse), s.capture("x", refuse), s.send(refuse), s.send(Info, refuse) } do
    local info = ends(step)
    t.assertStrContains(info.message, "not today (denied)")
    t.assertEquals(info.step.index, 2)
  end
  local other = select(3, pipe.open(t.name()))
  local info = talk.fails("absent", echo(), { s.call(function()
    return nil, other.code, other
  end) })
  t.assertStrContains(info.message, "there is no such pipe (absent")
end

function tests.test_what_code_raises_passes_and_the_pipe_is_closed()
  local kept_conn
  local closed = pipe.event()
  local server = pipehost.server {
    name = t.name(),
    on_message = function() end,
    on_close = function()
      closed:set()
    end,
  }
  local ok, message = pcall(pipehost.handshake, {
    pipe = server.name,
    steps = { s.call(function(_, conn)
      kept_conn = conn
      error "on purpose"
    end) },
  })
  t.assertFalse(ok)
  t.assertStrMatches(message, ".*handshake_test%.lua:%d+: on purpose")
  t.assertTrue(closed:wait(20000))
  t.assertFalse(pcall(kept_conn.info, kept_conn))
end

function tests.test_waiting()
  local begin = pipe.now()
  talk.plays(echo(), { s.wait(30), s.wait(0) })
  t.assertTrue(pipe.now() - begin >= 29)
end

function tests.test_lists_in_lists()
  local login = { name = "login", s.send("ann", { name = "user" }), s.expect "ann" }
  local _, events = talk.plays(echo(), { login, { { s.send "x" }, s.expect "x" }, {}, login })
  t.assertEquals(talk.said(events), { "open", ">ann", "<ann", ">x", "<x", ">ann", "<ann" })
  t.assertEquals(events[4].step, "2.1.1")
  local inner = { name = "inner", s.send "x", s.expect "y" }
  local info = talk.fails("protocol", echo(), { s.wait(0), { name = "outer", inner } })
  t.assertEquals(info.step.name, "outer: inner: expect")
  t.assertEquals(info.step.path, "2.1.2")
  t.assertEquals(info.step.index, 2)
end

function tests.test_close_can_wait_for_the_reader()
  local read = {}
  local name = talk.session("message", function(conn)
    pipe.sleep(50)
    read[1] = conn:receive()
  end)
  talk.plays(name, { s.send "late", s.close { timeout = 15000 } })
  t.assertEquals(t.eventually(function()
    return read[1]
  end, 15000), "late")
end

-- Other ways to play ------------------------------------------------------------------

function tests.test_play_on_an_open_pipe()
  local conn <close> = assert(pipe.open(echo(), { timeout = 20000 }))
  local captures = { n = 5 }
  local result, events = assert(pipehost.play(conn, {
    s.send(function(c)
      return tostring(c.n)
    end), s.expect(tonumber, { as = "square" }),
  }, { captures = captures, timeout = 20000 }))
  t.assertTrue(result == captures)
  t.assertEquals(result, { n = 5, square = 5 })
  t.assertEquals(talk.said(events), { "open", ">5", "<5" })
  -- The pipe stays open.
  t.assertEquals(conn:transact "again", "again")
  local _, code, info = pipehost.play(conn, { s.expect "x" }, { timeout = 10 })
  t.assertEquals(code, "timeout")
  t.assertEquals(info.step.index, 1)
end

function tests.test_client()
  local name = talk.answering { a = "b" }
  t.assertEquals({ pipehost.client(name, { timeout = 20000 }, function(conn)
    return conn:transact "a", "second", nil, "fourth"
  end) }, { "b", "second", nil, "fourth" })
  local conn
  local ok, message = pcall(pipehost.client, name, {}, function(open)
    conn = open
    error "on purpose"
  end)
  t.assertFalse(ok)
  t.assertStrContains(message, "on purpose")
  t.assertFalse(pcall(conn.info, conn))
  local _, code = pipehost.client(t.name(), {}, error)
  t.assertEquals(code, "absent")
end

function tests.test_many_at_once()
  local name = echo()
  local tasks = {}
  for i = 1, 30 do
    tasks[i] = pipe.spawn(function()
      return talk.plays(name, { s.send("n" .. i), s.wait(i % 3), s.expect(s.pattern "n(.*)", { as = "n" }) }).n
    end)
  end
  for i, task in ipairs(tasks) do
    t.assertEquals(talk.join(task), tostring(i))
  end
end

return tests
