-- SPDX-License-Identifier: MIT
-- What a handshake says when it fails: the sentence, the lines below it, and the
-- fields of info.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"
local talk = require "talk"

local s = pipehost.steps
local tests = {}

local Info = pipehost.struct("<", { name = "INFO", { "kind", "I2", enum = { ask = 1, done = 2 } }, { "age", "i4" } })

-- The sentence without the changing parts: the pipe's name, and where the step is.
local function sentence(info)
  return (info.message:gsub("^handshake ph%-test%-[%w-]+", "handshake NAME")
    :gsub("at %S*failure_test%.lua:%d+", "at HERE"))
end

-- The lines below it; times and the name are not compared.
local function report(info)
  return (info.report:gsub("ph%-test%-[%w-]+", "NAME"):gsub("\n +%d+%.%d  ", "\nMS  "))
end

function tests.test_another_literal()
  local line = debug.getinfo(1, "l").currentline + 1
  local steps = { s.send "hello", s.expect("hullo", { name = "greeting" }) }
  local info = talk.fails("protocol", talk.answering { hello = "hella" }, steps)
  t.assertEquals(sentence(info),
    [[handshake NAME: step 2 (greeting) at HERE: expected "hullo", got "hella" (protocol)]])
  t.assertEquals(info.step.index, 2)
  t.assertEquals(info.step.path, "2")
  t.assertEquals(info.step.name, "greeting")
  t.assertStrMatches(info.step.where, ".*failure_test%.lua:" .. line)
  t.assertEquals(info.expected, [["hullo"]])
  t.assertEquals(info.got, "hella")
  t.assertEquals(talk.said(info.transcript), { "open", ">hello", "<hella" })
  t.assertEquals(report(info), [[
          expected                            got
       0  68 75 6c 6c 6f          |hullo|     68 65 6c 6c 61          |hella|
             ^^                                  ^^  first difference, offset 1
  said on NAME so far (ms, > sent, < received, bytes):
MS  open
MS  >     5  68 65 6c 6c 6f  |hello|
MS  <     5  68 65 6c 6c 61  |hella|]])
  t.assertEquals(tostring(info), info.message .. "\n" .. info.report)
end

function tests.test_assert_raises_all_of_it()
  local name = talk.answering { a = "b" }
  local ok, message = pcall(function()
    assert(pipehost.handshake { pipe = name, steps = { s.send "a", s.expect "c" }, timeout = 20000 })
  end)
  t.assertFalse(ok)
  t.assertStrContains(message, [[expected "c", got "b" (protocol)]])
  t.assertStrContains(message, "first difference, offset 0")
  t.assertStrContains(message, ">     1  61  |a|")
end

function tests.test_a_struct()
  local info = talk.fails("protocol", talk.answering { a = "\5\0\1\0\0\0" }, { s.send "a", s.expect(Info) })
  t.assertEquals(sentence(info), "handshake NAME: step 2 (expect) at HERE: expected struct INFO (6 bytes), "
    .. "got 05 00 01 00 00 00  |......|: "
    .. "struct INFO: field 'kind' at offset 0: expected one of ask, done, got 5 (protocol)")
  t.assertStrContains(info.report, "kind = (expected one of ask, done, got 5)")
  t.assertStrContains(info.report, "age = 1")
  info = talk.fails("protocol", talk.answering { a = "12345" }, { s.send "a", s.expect(Info) })
  t.assertStrContains(sentence(info), [[got "12345": struct INFO has 6 bytes, but 5 came (protocol)]])
  t.assertStrContains(info.report, "age = (3 of 4 bytes)")
  info = talk.fails("protocol", talk.answering { a = "\1\0\1\0\0\0" },
    { s.send "a", s.expect(Info, { fields = { kind = "done" } }) })
  t.assertStrContains(sentence(info), [[: field 'kind': expected "done", got "ask" (protocol)]])
end

function tests.test_patterns_and_functions()
  local name = talk.answering { a = "NO 5" }
  local info = talk.fails("protocol", name, { s.send "a", s.expect(s.pattern "^OK") })
  t.assertStrContains(sentence(info), [[expected pattern "^OK", got "NO 5" (protocol)]])
  info = talk.fails("protocol", name, { s.send "a", s.expect(function()
    return nil, "too small"
  end) })
  t.assertStrMatches(sentence(info),
    [[.*expected what the function at HERE accepts, got "NO 5": too small %(protocol%)]])
  info = talk.fails("protocol", name, { s.send "a", s.expect(tonumber) })
  t.assertStrContains(sentence(info), [[expected what the function accepts, got "NO 5" (protocol)]])
end

function tests.test_alternatives()
  local info = talk.fails("protocol", talk.answering { a = "b" },
    { s.send "a", s.any_of({ "c", Info, s.expect_close(), s.pattern "^d" }, { name = "answer" }) })
  t.assertStrContains(sentence(info), "step 2 (answer) at HERE: expected one of \"c\", struct INFO (6 bytes), "
    .. [[the other end to close, pattern "^d", got "b" (protocol)]])
  t.assertStrContains(info.report, "  not \"c\"\n  not struct INFO (6 bytes): struct INFO has 6 bytes, but 1 came\n"
    .. [[  not pattern "^d"]])
end

function tests.test_nothing_in_time()
  local info = talk.fails("timeout", talk.answering {}, { s.send "a", s.expect(Info, { name = "slow", timeout = 30 }) })
  t.assertEquals(sentence(info), "handshake NAME: step 2 (slow) at HERE: expected struct INFO (6 bytes), "
    .. "but nothing came within 30 ms (timeout)")
  t.assertNil(info.got)
  t.assertEquals(talk.said(info.transcript), { "open", ">a" })
end

function tests.test_the_other_end_has_closed()
  local name = talk.answering {}
  local info = talk.fails("closed", name, { s.send "end", s.expect "x" })
  t.assertEquals(sentence(info),
    [[handshake NAME: step 2 (expect) at HERE: expected "x", but the other end has closed (closed)]])
  t.assertEquals(talk.said(info.transcript), { "open", ">end", "closed" })
  info = talk.fails("protocol", talk.answering { a = "more" }, { s.send "a", s.expect_close() })
  t.assertStrContains(sentence(info), [[expected the other end to close, got "more" (protocol)]])
  info = talk.fails("timeout", name, { s.expect_close { timeout = 20 } })
  t.assertStrContains(sentence(info), "expected the other end to close, but nothing came within 20 ms (timeout)")
end

-- Who closes has often said why before: that is shown where sending fails.
function tests.test_what_was_said_before_the_close()
  local name = talk.session("message", function(conn)
    conn:send "you are not welcome"
  end)
  local info
  t.eventually(function()
    local _, code, why = pipehost.handshake {
      pipe = name, timeout = 20000, steps = { s.wait(20), s.send "a", s.send "b", s.send "c", s.wait(20), s.send "d" },
    }
    info = why
    return code == "closed"
  end, 20000)
  local said = talk.said(info.transcript)
  t.assertEquals(said[#said], "closed")
  t.assertEquals(said[#said - 1], "<you are not welcome")
  t.assertStrContains(info.message, [[: sending "]])
  t.assertStrContains(info.message, "(closed")
end

function tests.test_a_write_that_nobody_takes()
  local name = talk.session("message", function()
    pipe.sleep(300)
  end)
  local big = ("x"):rep(60000)
  local steps = {}
  for i = 1, 400 do
    steps[i] = s.send(big)
  end
  local info = talk.fails("timeout", name, steps)
  t.assertStrContains(info.message, "60000 bytes in all: not taken within 40 ms (timeout)")
end

function tests.test_a_long_conversation_is_shown_from_its_end()
  local steps = {}
  for i = 1, 60 do
    steps[i] = s.send("n" .. i)
  end
  steps[61] = s.expect("x", { timeout = 20 })
  local info = talk.fails("timeout", talk.answering {}, steps)
  t.assertEquals(#info.transcript, 61)
  t.assertStrContains(info.report, "bytes):\n            (21 events before)\n")
  t.assertStrContains(info.report, "|n60|")
  t.assertNil(info.report:find("|n20|", 1, true))
end

function tests.test_too_long_a_message()
  local name = talk.answering { a = ("x"):rep(2000) }
  local info = talk.fails("toobig", name, { s.send "a", s.expect "x" }, { max_message = 1000 })
  t.assertStrContains(info.message, [[expected "x", but receive ]])
  t.assertStrContains(info.message, "(toobig")
end

function tests.test_the_open()
  local name = t.name()
  local info = talk.fails("absent", name, { s.close() }, { wait = "no" })
  t.assertEquals(info.step, { index = 0, name = "open" })
  t.assertStrContains(info.message, ("open %s: there is no such pipe (absent"):format(name))
  t.assertEquals(tostring(info), info.message)
  local byte = talk.sending "x"
  talk.fails("mode", byte, { s.close() }, { mode = "message" })
end

function tests.test_a_handshake_in_a_handshake()
  local inner, outer = talk.answering { a = "b" }, talk.answering {}
  local info = talk.fails("protocol", outer, { s.call(function()
    return pipehost.handshake { pipe = inner, steps = { s.send "a", s.expect "c" }, timeout = 20000 }
  end, { name = "other" }) })
  t.assertStrContains(info.message, ("handshake %s: step 1 (other) at "):format(outer))
  t.assertStrContains(info.message, (": handshake %s: step 2 (expect) at "):format(inner))
  t.assertStrContains(info.report, "first difference, offset 0")
  t.assertEquals(info.step.name, "other")
end

-- Side by side -------------------------------------------------------------------------

function tests.test_long_bytes_are_shown_where_they_differ()
  local hex = require "pipehost.hex"
  local a = ("abcdefgh"):rep(1000)
  local b = a:sub(1, 4001) .. "X" .. a:sub(4003)
  t.assertEquals(hex.side_by_side(a, b), [[
          expected                            got
          (3992 equal bytes before)
    3992  61 62 63 64 65 66 67 68 |abcdefgh|  61 62 63 64 65 66 67 68 |abcdefgh|
    4000  61 62 63 64 65 66 67 68 |abcdefgh|  61 58 63 64 65 66 67 68 |aXcdefgh|
             ^^                                  ^^  first difference, offset 4001
    4008  61 62 63 64 65 66 67 68 |abcdefgh|  61 62 63 64 65 66 67 68 |abcdefgh|
    4016  61 62 63 64 65 66 67 68 |abcdefgh|  61 62 63 64 65 66 67 68 |abcdefgh|
    4024  61 62 63 64 65 66 67 68 |abcdefgh|  61 62 63 64 65 66 67 68 |abcdefgh|
    4032  61 62 63 64 65 66 67 68 |abcdefgh|  61 62 63 64 65 66 67 68 |abcdefgh|
    4040  61 62 63 64 65 66 67 68 |abcdefgh|  61 62 63 64 65 66 67 68 |abcdefgh|
    4048  61 62 63 64 65 66 67 68 |abcdefgh|  61 62 63 64 65 66 67 68 |abcdefgh|
          (3944 bytes more)]])
end

function tests.test_one_side_may_end_first()
  local hex = require "pipehost.hex"
  t.assertEquals(hex.side_by_side("12345678", "123456789"), [[
          expected                            got
       0  31 32 33 34 35 36 37 38 |12345678|  31 32 33 34 35 36 37 38 |12345678|
       8                                      39                      |9|
          ^^                                  ^^  first difference, offset 8]])
  t.assertEquals(hex.side_by_side("", "\0"), [[
          expected                            got
       0                                      00                      |.|
          ^^                                  ^^  first difference, offset 0]])
  t.assertEquals(hex.side_by_side("same", "same"), "")
  for at = 0, 40 do
    local a = ("z"):rep(40)
    t.assertEquals(hex.difference(a, a:sub(1, at)), at < 40 and at or nil)
    t.assertEquals(hex.difference(a:sub(1, at) .. "y", a .. "zz"), at)
  end
  local a = ("q"):rep(3 * 4096)
  for _, at in ipairs { 4095, 4096, 4097, 8192 } do
    t.assertEquals(hex.difference(a, a:sub(1, at) .. "r" .. a:sub(at + 2)), at)
  end
end

return tests
