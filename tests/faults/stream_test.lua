-- SPDX-License-Identifier: MIT
-- Each fault of what is read and written, in both modes and directions.
local faulty_pair = require "faulty_pair"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local LONG, fails, take = faulty_pair.LONG, faulty_pair.fails, faulty_pair.take
local tests = {}

local function each(what, fn)
  faulty_pair.each(tests, what, fn)
end

-- Writes one after the other and reads each, up to its end.
local function pass(pair, texts)
  local got = {}
  for i, text in ipairs(texts) do
    assert(pair.from:write(text, LONG))
    got[i] = assert(take(pair))
  end
  return got
end

each("delay", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { delay = 80, nth = 2 } })
  assert(pair.from:write("first", LONG))
  t.assertEquals(take(pair), "first")
  local begin, op = pipe.now(), pair.from:write_op("second")
  t.assertEquals(take(pair), "second")
  t.assertTrue(pipe.now() - begin >= 79, "it came too early")
  assert(op:wait(LONG))
  assert(pair.from:write("third", LONG))
  t.assertEquals(take(pair), "third")
  t.assertEquals(pair.faults:events(), { { fault = "delay", on = direction, number = 2, value = 80000 } })
end)

each("what_is_behind_a_delay_waits", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { delay = 50, nth = 1 } })
  local ops = { pair.from:write_op "a", pair.from:write_op "b" }
  local got = ""
  while #got < 2 do
    got = got .. assert(take(pair))
  end
  t.assertEquals(got, "ab")
  assert(pipe.wait_all(ops, LONG))
end)

each("a_read_that_gives_up_leaves_what_is_delayed", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { delay = 150 } })
  local op = pair.from:write_op "late"
  fails("timeout", pair.to:read(1000, 10))
  t.assertEquals(take(pair), "late")
  assert(op:wait(LONG))
end)

each("jitter", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { delay = 4, jitter = 3 } })
  for i = 1, 10 do
    assert(pair.from:write("m" .. i, LONG))
    t.assertEquals(take(pair), "m" .. i)
  end
  local different = {}
  for _, event in ipairs(pair.faults:events()) do
    t.assertTrue(event.value >= 1000 and event.value <= 7000, event.value)
    different[event.value] = true
  end
  t.assertNotNil(next(different, next(different)), "all are the same")
end)

-- Nothing but time keeps the bytes of a stream apart.
each("split_and_delay", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { split = true }, { delay = 5 } })
  local begin, op = pipe.now(), pair.from:write_op "abcdef"
  local got, reads = "", 0
  while #got < 6 do
    got, reads = got .. assert(take(pair)), reads + 1
  end
  t.assertEquals(got, "abcdef")
  t.assertTrue(reads > 1, "all came at once")
  t.assertTrue(pipe.now() - begin >= 29, "it came too early")
  assert(op:wait(LONG))
  t.assertEquals({ pair.faults:count "split", pair.faults:count "delay" }, { 1, 1 })
end)

each("drop", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { drop = true, nth = 2 } })
  t.assertEquals(pass(pair, { "a" }), { "a" })
  assert(pair.from:write("b", LONG))
  fails("timeout", pair.to:read(1000, 30))
  t.assertEquals(pass(pair, { "c" }), { "c" })
  t.assertEquals(pair.faults:count "drop", 1)
end)

each("corrupt", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { corrupt = true, nth = 2 } })
  local text = "0123456789"
  local got = pass(pair, { text, text, text })
  t.assertEquals({ got[1], got[3] }, { text, text })
  local at = pair.faults:events()[1].value + 1
  t.assertEquals(#got[2], #text)
  t.assertNotEquals(got[2]:byte(at), text:byte(at))
  t.assertEquals(got[2]:sub(1, at - 1) .. got[2]:sub(at + 1), text:sub(1, at - 1) .. text:sub(at + 1))
end)

each("duplicate", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { duplicate = true, nth = 1 } })
  assert(pair.from:write("ab", LONG))
  local got = {}
  while #table.concat(got) < 4 do
    got[#got + 1] = assert(take(pair))
  end
  t.assertEquals(table.concat(got), "abab")
  t.assertTrue(mode == "byte" or #got == 2)
  assert(pair.from:write("c", LONG))
  t.assertEquals(take(pair), "c")
end)

-- What is written byte by byte may be read at once.
each("split", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { split = true, nth = 1 } })
  local got, text = {}, ("0123456789"):rep(100)
  local op = pair.from:write_op(text)
  while #table.concat(got) < #text do
    got[#got + 1] = assert(take(pair))
  end
  assert(op:wait(LONG))
  t.assertEquals(table.concat(got), text)
  t.assertTrue(#got == #text or mode == "byte" and direction == "out", #got)
  assert(pair.from:write("whole", LONG))
  t.assertEquals(take(pair), "whole")
end)

each("join", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { join = 5000, nth = 2 } })
  t.assertEquals(pass(pair, { "a" }), { "a" })
  local op = pair.to:read_op(1000)
  assert(pair.from:write("b", LONG))
  fails("pending", op:wait(50))
  assert(pair.from:write("c", LONG))
  assert(op:wait(LONG))
  t.assertEquals(op:result(), "bc")
  t.assertEquals(pass(pair, { "d" }), { "d" })
end)

each("join_without_a_next", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { join = true } })
  assert(pair.from:write("alone", LONG))
  t.assertEquals(take(pair), "alone")
end)

each("joined_at_the_end", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { join = 5000 } })
  assert(pair.from:write("last", LONG))
  pair.from:close()
  t.assertEquals(take(pair), "last")
  fails("closed", take(pair))
end)

each("cut", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { cut = 7 } })
  assert(pair.from:write("first", LONG))
  t.assertEquals(take(pair), "first")
  local sent, code = pair.from:write("second", LONG)
  t.assertEquals(take(pair), "se")
  if direction == "in" then
    t.assertTrue(sent) -- the writer learns later, as from a system
  else
    fails("closed", sent, code)
    fails("closed", pair.from:read(1, LONG)) -- both ways
    pair.from:close()
  end
  fails("closed", take(pair))
  t.assertEquals(pair.faults:count("cut", direction), 1)
end)

each("stall", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { stall = true, nth = 2 } })
  assert(pair.from:write("a", LONG))
  t.assertEquals(take(pair), "a")
  local op = pair.from:write_op "b"
  fails("timeout", pair.to:read(1000, 60))
  pair.faults:close()
  t.assertEquals(take(pair), "b")
  assert(op:wait(LONG))
  assert(pair.from:write("c", LONG))
  t.assertEquals(take(pair), "c")
end)

each("a_closed_plan_holds_nothing_back", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { split = true }, { delay = 3600000 } })
  local op = pair.from:write_op "abc"
  fails("timeout", pair.to:read(1000, 20))
  pair.faults:close()
  local got = ""
  while #got < 3 do
    got = got .. assert(take(pair))
  end
  t.assertEquals(got, "abc")
  assert(op:wait(LONG))
end)

-- The operation that fails is that of the end that has the faults.
each("fail", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { fail = "nomem", nth = 2 } })
  assert(pair.from:write("a", LONG))
  t.assertEquals(take(pair), "a")
  if direction == "in" then
    assert(pair.from:write("b", LONG))
    local info = fails("nomem", take(pair))
    t.assertStrContains(tostring(info), "fault")
    t.assertEquals(take(pair), "b") -- nothing was taken
  else
    fails("nomem", pair.from:write("b", LONG))
    fails("timeout", pair.to:read(1000, 50)) -- nothing was sent
  end
  t.assertEquals(pair.faults:events(), { { fault = "fail", on = direction, number = 2, value = 0 } })
end)

each("fail_closed", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { fail = "closed" } })
  if direction == "in" then
    fails("closed", pair.to:read(1, LONG))
    fails("closed", pair.to:write("x", LONG)) -- both ways
  else
    fails("closed", pair.from:write("x", LONG))
    fails("closed", pair.from:read(1, LONG))
  end
end)

-- The end that has the faults waits, and gives up.
each("late", function(mode, direction)
  local pair = faulty_pair.new(mode, direction, { { late = 100 } })
  local op = direction == "in" and pair.to:read_op(1000) or pair.from:write_op(("w"):rep(
    mode == "byte" and 20 << 20 or 60000))
  while direction == "out" and op:wait(20) do -- fills what the system buffers
    op = pair.from:write_op(("w"):rep(60000))
  end
  local begin = pipe.now()
  op:cancel()
  fails("pending", op:wait(20))
  assert(op:wait(LONG))
  fails("cancelled", op:result())
  t.assertTrue(pipe.now() - begin >= 99, "it ended too early")
  t.assertEquals(pair.faults:count("late", direction), 1)
end)

each("empty_messages", function(mode, direction)
  if mode == "byte" then
    return
  end
  local pair = faulty_pair.new(mode, direction, {
    { corrupt = true, nth = 1 }, { split = true, nth = 2 }, { duplicate = true, nth = 3 }, { cut = 1000 },
  })
  for _ = 1, 3 do
    assert(pair.from:send("", LONG))
  end
  for _ = 1, 4 do
    t.assertEquals(pair.to:receive(LONG), "")
  end
end)

-- Other ways to read than by one read for each write.
function tests.test_lines_byte_by_byte()
  local pair = faulty_pair.new("byte", "in", { { split = true } })
  assert(pair.from:write("one\r\ntwo\nthree", LONG))
  pair.from:close()
  t.assertEquals({ pair.to:read_line(LONG), pair.to:read_line(LONG), pair.to:read_line(LONG) },
    { "one", "two", "three" })
  fails("closed", pair.to:read_line(LONG))
end

function tests.test_a_transact_whose_reply_is_dropped()
  local pair = faulty_pair.new("message", "in", { { drop = true, nth = 1 } })
  local op = pair.to:transact_op("ask", 100)
  t.assertEquals(pair.from:receive(LONG), "ask")
  assert(pair.from:send("reply", LONG))
  assert(op:wait(LONG))
  fails("timeout", op:result())
end

function tests.test_a_message_in_parts()
  local pair = faulty_pair.new("message", "in", { { delay = 5 }, { duplicate = true } })
  assert(pair.from:send("0123456789", LONG))
  for _ = 1, 2 do
    local part, more = pair.to:read(4, LONG)
    t.assertEquals({ part, more }, { "0123", true })
    t.assertEquals(pair.to:receive(LONG), "456789")
  end
end

function tests.test_close_with_all_held_back()
  local pair = faulty_pair.new("message", "out", { { stall = true } })
  local op = pair.from:write_op "never"
  pair.from:close()
  assert(op:wait(LONG))
  t.assertNil((op:result()))
  fails("closed", take(pair))
end

return tests
