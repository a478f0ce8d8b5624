-- SPDX-License-Identifier: MIT
-- pipehost.server { steps = … }: the same steps from the server's end.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"
local talk = require "talk"

local s = pipehost.steps
local tests = {}

local LONG = 20000
local Flag = pipehost.struct("<", { name = "flag", { "flag", "I4" } })
local Info = pipehost.struct("<", { name = "INFO", { "age", "i4" } })

-- The exchange of ServerInfo: asked as often as the client likes, then END.
local function exchange()
  return {
    s.expect(Flag, { as = "request" }),
    s.loop(function(c)
      return c.request.flag == 1
    end, { s.send(Info, { age = 3 }), s.expect(Flag, { as = "request" }) }),
    s.expect(s.any_of { s.expect_close() }),
  }
end

-- A server whose ends are kept: { reason, code, state }.
local function serve(steps, options)
  local ends = {}
  local all = {
    name = t.name(), steps = steps, timeout = LONG,
    on_close = function(conn, reason, info)
      ends[#ends + 1] = { reason = reason, info = info, state = conn.state }
    end,
  }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return pipehost.server(all).name, ends
end

local function ended(ends, count)
  return t.eventually(function()
    return ends[count or 1]
  end, LONG)
end

function tests.test_both_ends_play_steps()
  local name, ends = serve(exchange())
  local ask, answer = s.send(Flag, { flag = 1 }), s.expect(Info, { as = "info" })
  local result = talk.plays(name, { ask, answer, ask, answer, s.send(Flag, { flag = 2 }), s.close() })
  t.assertEquals(result, { info = { age = 3 } })
  local last = ended(ends)
  t.assertEquals(last.reason, "closed")
  t.assertNil(last.info)
  t.assertEquals(last.state, { request = { flag = 2 } })
end

function tests.test_clients_do_not_meet()
  local name, ends = serve {
    s.expect(s.pattern("^I am (%a+)$", { "who" })), s.wait(20),
    s.send(function(c)
      return "hello, " .. c.who
    end),
  }
  local tasks = {}
  for i, who in ipairs { "ann", "bob", "cid", "dan" } do
    tasks[i] = pipe.spawn(talk.plays, name, { s.send("I am " .. who), s.expect("hello, " .. who), s.expect_close() })
  end
  for _, task in ipairs(tasks) do
    talk.join(task)
  end
  ended(ends, 4)
end

function tests.test_the_connection_is_closed_after_the_last_step()
  local name = serve { s.send "bye" }
  talk.plays(name, { s.expect "bye", s.expect_close() })
end

function tests.test_what_fails_is_told()
  local name, ends = serve { s.expect("hello", { name = "greeting" }), s.send "never" }
  local client = assert(pipe.open(name, { timeout = LONG }))
  assert(client:send "hullo")
  t.assertEquals(select(2, client:receive()), "closed")
  local last = ended(ends)
  t.assertEquals(last.reason, "protocol")
  t.assertEquals(last.info.step.name, "greeting")
  t.assertEquals(last.info.got, "hullo")
  t.assertStrContains(last.info.message, [[expected "hello", got "hullo" (protocol)]])
  t.assertEquals(talk.said(last.info.transcript), { "open", "<hullo" })
  client:close()
end

function tests.test_each_reason()
  local name, ends = serve({ s.expect "x" }, { timeout = 30 })
  local client = assert(pipe.open(name, { timeout = LONG }))
  t.assertEquals(select(2, client:receive()), "closed")
  t.assertEquals(ended(ends).reason, "timeout")
  t.assertStrContains(ends[1].info.message, "nothing came within 30 ms")
  client:close()
  name, ends = serve { s.expect "x" }
  assert(pipe.open(name, { timeout = LONG })):close()
  t.assertEquals(ended(ends).reason, "closed")
  t.assertEquals(ends[1].info.code, "closed")
  name, ends = serve { s.call(function()
    error "on purpose"
  end) }
  client = assert(pipe.open(name, { timeout = LONG }))
  t.assertEquals(select(2, client:receive()), "closed")
  t.assertEquals(ended(ends).reason, "error")
  client:close()
end

function tests.test_a_deadline_for_the_whole()
  local function forever()
    return true
  end
  local name, ends = serve { deadline = 60, s.loop(forever, { s.expect "x", s.send "y" }) }
  local client = assert(pipe.open(name, { timeout = LONG }))
  while client:transact "x" do
    pipe.sleep(1)
  end
  t.assertEquals(ended(ends).reason, "timeout")
  t.assertStrContains(ends[1].info.message, "before the deadline of 60 ms")
  client:close()
end

function tests.test_on_open_and_its_state()
  local name, ends = serve({ s.send(function(c)
    return c.greeting
  end) }, { on_open = function(conn)
    conn.state.greeting = "hello " .. conn.id
  end })
  talk.plays(name, { s.expect "hello 1" })
  talk.plays(name, { s.expect "hello 2" })
  t.assertEquals(ended(ends, 2).state.greeting, "hello 2")
end

function tests.test_steps_for_each_connection()
  local name = serve(function(conn)
    return { s.send("you are number " .. conn.id) }
  end)
  talk.plays(name, { s.expect "you are number 1" })
  talk.plays(name, { s.expect "you are number 2" })
  local other, ends = serve(function()
    return { "x" }
  end)
  local client = assert(pipe.open(other, { timeout = LONG }))
  t.assertEquals(select(2, client:receive()), "closed")
  t.assertEquals(ended(ends).reason, "error")
  client:close()
end

function tests.test_byte_pipes()
  local name = serve({
    s.send "220 ready\r\n", s.expect(s.line(s.pattern("^HELO (%S+)$", { "who" }))), s.send "250 ok\r\n",
    s.expect(s.bytes(4), { as = "raw" }), s.expect_close(),
  }, { mode = "byte" })
  local result = talk.plays(name, {
    s.expect(s.line(s.pattern "^220 ")), s.send "HELO me\r\n", s.expect "250 ok\r\n", s.send "\0\1\2\3",
  })
  t.assertEquals(result, {})
end

function tests.test_stopping_ends_the_steps()
  local stopped
  local server = pipehost.server {
    name = t.name(), steps = { s.expect "x" },
    on_close = function(_, reason, info)
      stopped = { reason, info }
    end,
  }
  local client = assert(pipe.open(server.name, { timeout = LONG }))
  t.eventually(function()
    return server:connections()()
  end, LONG)
  pipe.sleep(10)
  server:stop(0)
  t.assertEquals(select(2, client:receive()), "closed")
  t.assertEquals(stopped[1], "stopped")
  client:close()
end

function tests.test_bad_options()
  local function raises(message, options)
    options.name = t.name()
    local ok, got = pcall(pipehost.server, options)
    t.assertFalse(ok)
    t.assertStrContains(got, message)
  end
  raises("needs one of on_message, session and steps", { steps = { s.close() }, session = print })
  raises("option 'steps' is a list of steps, this is a string", { steps = "x" })
  raises("option 'steps': step 2 is the string \"x\"", { steps = { s.close(), "x" } })
end

return tests
