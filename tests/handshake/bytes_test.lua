-- SPDX-License-Identifier: MIT
-- pipehost.handshake on byte pipes: each step reads as much as it expects.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"
local talk = require "talk"

local s = pipehost.steps
local tests = {}

local Head = pipehost.struct("<", { name = "head", { "kind", "I2" }, { "size", "I4" } })

function tests.test_each_step_reads_its_part()
  local name = talk.sending("helloworld" .. Head:pack { kind = 7, size = 3 } .. "abcxyz")
  local result = talk.plays(name, {
    s.expect "hello", s.expect(s.bytes(5), { as = "five" }), s.expect(Head, { as = "head" }),
    s.expect(s.bytes(3, s.pattern "^a(.)c$"), { as = "middle" }), s.expect "xyz",
  })
  t.assertEquals(result, { five = "world", head = { kind = 7, size = 3 }, middle = "b" })
end

function tests.test_chunks_do_not_matter()
  local parts = {}
  for c in ("one\ntwo" .. Head:pack { kind = 1, size = 2 }):gmatch "." do
    parts[#parts + 1] = c
  end
  local name = talk.sending(table.unpack(parts))
  talk.plays(name, { s.expect(s.line "one"), s.expect "two", s.expect(Head, { fields = { kind = 1, size = 2 } }) })
end

function tests.test_lines()
  local name = talk.sending("first\r\nsecond 2\n\nlast 4 5\n")
  local result = talk.plays(name, {
    s.expect(s.line(), { as = "first" }), s.expect(s.line(s.pattern "^second (%d)$"), { as = "two" }),
    s.expect(s.line ""), s.expect(s.line(s.pattern("(%d) (%d)", { "four", "five" }))),
  })
  t.assertEquals(result, { first = "first", two = "2", four = "4", five = "5" })
end

function tests.test_sent_bytes_are_written()
  local got = {}
  local name = talk.session("byte", function(conn)
    for line in conn:lines() do
      got[#got + 1] = line
    end
  end)
  talk.plays(name, { s.send "a\nb", s.send "c\n", s.send(Head, { kind = 0x6464, size = 0x0a646464 }) })
  t.assertEquals(t.eventually(function()
    return got[3] and got
  end, 15000), { "a", "bc", "ddddd" })
end

function tests.test_the_other_end_closes()
  local name = talk.session("byte", function(conn)
    conn:write "bye"
  end)
  talk.plays(name, { s.expect "bye", s.expect_close() })
  local info = talk.fails("protocol", name, { s.expect_close() })
  t.assertEquals(info.got, "bye")
  info = talk.fails("closed", name, { s.expect "bye-bye" })
  t.assertEquals(info.got, "bye")
  t.assertStrContains(info.message, [[expected "bye-bye", but only "bye" came before the other end closed]])
  t.assertEquals(talk.said(info.transcript), { "open", "<bye", "closed" })
end

function tests.test_too_little_is_shown()
  local info = talk.fails("timeout", talk.sending "1234", { s.expect(Head) })
  t.assertEquals(info.got, "1234")
  t.assertStrContains(info.message, [[expected struct head (6 bytes), but only "1234" came within 40 ms]])
  info = talk.fails("timeout", talk.sending "no end", { s.expect(s.line()) })
  t.assertStrContains(info.message, [[expected a line, but only "no end" came within 40 ms]])
  info = talk.fails("timeout", talk.sending "12", { s.expect(s.any_of { "1", "123" }), s.expect "23" })
  t.assertEquals(info.got, "2")
end

-- Alternatives of several sizes --------------------------------------------------------

local function any(sent, alternatives, ...)
  return talk.plays(talk.sending(sent), { s.any_of(alternatives, { as = "it" }), ... })
end

function tests.test_alternatives_read_no_more_than_they_need()
  t.assertEquals(any("OK\nnext", { "OK\n", "ERROR\n" }, s.expect "next").it, "OK\n")
  t.assertEquals(any("ERROR\nnext", { "OK\n", "ERROR\n" }, s.expect "next").it, "ERROR\n")
  t.assertEquals(any("ERROR\nnext", { "ERROR\n", "OK\n" }, s.expect "next").it, "ERROR\n")
  -- The shortest that matches.
  t.assertEquals(any("abcd", { "abcd", "ab" }, s.expect "cd").it, "ab")
  t.assertEquals(any("abcd", { s.any_of { "xyz", "abcd" }, "ax" }).it, "abcd")
  t.assertEquals(any("\7\0\3\0\0\0", { Head, s.bytes(1, "\8") }).it, { kind = 7, size = 3 })
end

-- Waiting for six bytes that cannot become right any more would end in a time-out.
function tests.test_alternatives_fail_as_soon_as_none_is_possible()
  local info = talk.fails("protocol", talk.sending "NO\n", { s.any_of { "OK\n", "ERROR\n" } })
  t.assertEquals(info.got, "NO\n")
end

function tests.test_alternatives_of_lines_and_the_end()
  local either = { s.line "more", s.line(s.pattern "^code (%d+)$"), s.expect_close() }
  t.assertEquals(any("code 5\n", either).it, "5")
  local name = talk.session("byte", function(conn)
    conn:write "more\n"
  end)
  talk.plays(name, { s.any_of(either), s.any_of(either) })
  name = talk.session("byte", function(conn)
    conn:write "12"
  end)
  talk.plays(name, { s.any_of { "12", "3", s.expect_close() }, s.any_of { "12", "3", s.expect_close() } })
end

-- What cannot be read -------------------------------------------------------------------

function tests.test_how_much_must_be_known()
  local name = talk.sending "x"
  local Open = pipehost.struct("<", { { "a", "B" }, { "b", "bytes" } })
  for _, what in ipairs { s.pattern "x", tonumber, "", Open, s.any_of { "x", tonumber }, s.any_of { "x", s.line() } } do
    local step = s.expect(what)
    local ok, message = pcall(pipehost.handshake, { pipe = name, steps = { s.wait(0), { step } }, timeout = 20000 })
    t.assertFalse(ok)
    t.assertStrContains(message, "bytes_test.lua")
    t.assertStrContains(message, ": step 2.1 (expect): how much is to be read for " .. tostring(step.matcher))
  end
end

function tests.test_lines_need_a_byte_pipe()
  local name = talk.answering {}
  for _, what in ipairs { s.line(), s.any_of { "x", s.line "y" } } do
    local ok, message = pcall(pipehost.handshake, {
      pipe = name, timeout = 20000, steps = { s.branch(error, {}, { s.expect(what) }) },
    })
    t.assertFalse(ok)
    t.assertStrContains(message, ": step 1.1 (expect): ")
    t.assertStrContains(message, "is read from a byte pipe, and this one has messages")
  end
  -- A count of bytes is a message of that length.
  local echo = talk.answering(function(message)
    return message
  end)
  talk.plays(echo, { s.send "abc", s.expect(s.bytes(3)) })
  local info = talk.fails("protocol", echo, { s.send "abcd", s.expect(s.bytes(3)) })
  t.assertStrContains(info.message, "expected 3 bytes, got \"abcd\": 4 bytes came")
end

-- With a frame a byte pipe has messages, and whatever fits a message can be expected.
function tests.test_frames()
  local Frame = pipehost.struct(">", { name = "frame", { "length", "I2" } })
  local name = pipehost.server {
    name = t.name(), mode = "byte", frame = Frame, timeout = 20000,
    steps = { s.expect(s.pattern("^I am (%a+)$", { "who" })), s.send(function(c)
      return "hello, " .. c.who
    end), s.send "" },
  }.name
  local result = talk.plays(name, {
    s.send "I am ann", s.expect(s.pattern "^hello, (.*)$", { as = "who" }), s.expect "", s.expect_close(),
  }, { frame = Frame })
  t.assertEquals(result, { who = "ann" })
  name = talk.sending "one\r\ntwo\n"
  talk.plays(name, { s.expect "one", s.expect(s.pattern "^t") }, { frame = "lines" })
  local info = talk.fails("timeout", name, { s.expect "one", s.expect "two", s.expect "x" }, { frame = "lines" })
  t.assertStrContains(info.message, [[expected "x", but nothing came within 40 ms]])
end

function tests.test_a_long_literal()
  local long = ("0123456789abcdef"):rep(20000)
  local name = talk.session("byte", function(conn)
    conn:write(long)
    conn:write((long:gsub("f", "F", 1)))
  end)
  local begin = pipe.now()
  local info = talk.fails("protocol", name, { s.expect(long), s.expect(long) })
  t.assertTrue(pipe.now() - begin < 20000)
  t.assertStrContains(info.report, "first difference, offset 15")
end

return tests
