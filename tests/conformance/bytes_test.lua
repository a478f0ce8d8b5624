-- SPDX-License-Identifier: MIT
-- Byte pipes: a stream without boundaries.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

local function written(text, options)
  local name = t.name()
  local server = assert(pipe.create(name, { mode = "byte", max_message = options and options.max_message }))
  local client = assert(pipe.open(name))
  assert(server:connect(5000))
  assert(client:write(text, 5000))
  client:close()
  return server
end

function tests.test_joined_writes()
  local server, client = ends.byte_pair()
  assert(client:write "abc")
  assert(client:write "defg")
  t.assertEquals(server:read_exact(7, 5000), "abcdefg")
end

function tests.test_split_reads()
  local server, client = ends.byte_pair()
  assert(client:write "abcdefghij")
  t.assertEquals({ server:read(3, 5000) }, { "abc", false })
  t.assertEquals({ server:read(3, 5000) }, { "def", false })
  t.assertEquals({ server:read(30, 5000) }, { "ghij", false })
end

function tests.test_a_pending_read_ends_with_whatever_comes()
  local server, client = ends.byte_pair()
  local first, second = server:read_op(100), server:read_op(100)
  assert(client:write "ab")
  t.assertEquals(ends.finish(first), "ab")
  assert(client:write "cd")
  t.assertEquals(ends.finish(second), "cd")
end

function tests.test_read_exact_over_many_writes()
  local server, client = ends.byte_pair()
  local text = ends.pattern(1000)
  local reader = pipe.spawn(function()
    return server:read_exact(600, 5000), server:read_exact(400, 5000)
  end)
  for i = 1, #text, 7 do
    assert(client:write(text:sub(i, i + 6)))
    if i % 3 == 0 then
      pipe.sleep(0)
    end
  end
  local head, tail = ends.join(reader)
  t.equal_bytes(head .. tail, text)
end

function tests.test_read_exact_of_nothing()
  local server = ends.byte_pair()
  t.assertEquals(server:read_exact(0, 5000), "")
end

function tests.test_read_exact_at_the_end()
  local server = written "abc"
  ends.fails("closed", server:read_exact(5, 5000))
  t.assertEquals(server:read(5, 5000), "abc")
  ends.fails("closed", server:read(5, 5000))
end

function tests.test_an_empty_write_is_nothing()
  local server, client = ends.byte_pair()
  t.assertTrue(client:write "")
  ends.fails("timeout", server:read(10, 0))
  assert(client:write "x")
  t.assertEquals(server:read(10, 5000), "x")
end

function tests.test_lines()
  local server = written "one\ntwo\r\n\n\r\nthree\rfour\nlast"
  local lines = {}
  for line in server:lines() do
    lines[#lines + 1] = line
  end
  t.assertEquals(lines, { "one", "two", "", "", "three\rfour", "last" })
  ends.fails("closed", server:read_line(5000))
end

function tests.test_a_line_that_comes_in_pieces()
  local server, client = ends.byte_pair()
  local reader = pipe.spawn(function()
    return server:read_line(5000), server:read_line(5000), server:read_exact(4, 5000)
  end)
  for piece in ("first\r\nsecond\nrest"):gmatch "." do
    assert(client:write(piece))
    pipe.sleep(0)
  end
  t.assertEquals({ ends.join(reader) }, { "first", "second", "rest" })
end

function tests.test_a_line_over_the_limit()
  local server = written(("x"):rep(100) .. "\n" .. ("y"):rep(101) .. "\nz\n", { max_message = 100 })
  t.assertEquals(server:read_line(5000), ("x"):rep(100))
  ends.fails("toobig", server:read_line(5000))
  t.assertEquals(server:read_exact(102, 5000), ("y"):rep(101) .. "\n")
  t.assertEquals(server:read_line(5000), "z")
end

-- The limit of lines is not one of the system's messages.
function tests.test_a_line_at_the_limit_with_any_end()
  local line = ("x"):rep(100)
  local server, client = ends.pair({ mode = "byte", max_message = 100 }, { mode = "byte" })
  for _, ending in ipairs { "\n", "\r\n" } do
    assert(client:write(line .. ending))
    t.assertEquals(server:read_line(5000), line)
    local reader = pipe.spawn(server.read_line, server, 5000)
    for piece in (line .. ending):gmatch "." do
      assert(client:write(piece))
      pipe.sleep(0)
    end
    t.assertEquals(ends.join(reader), line)
  end
  assert(client:write(line .. "\r"))
  ends.fails("timeout", server:read_line(20))
  assert(client:write "y")
  ends.fails("toobig", server:read_line(5000))
end

function tests.test_a_very_long_line()
  local size = 6 << 20
  local limit = { mode = "byte", max_message = size }
  local server, client = ends.pair(limit, limit)
  local line = ends.pattern(size)
  local op = client:write_op(line .. "\nnext\n")
  t.assertTrue(server:read_line(20000) == line)
  t.assertEquals(server:read_line(5000), "next")
  t.assertTrue(ends.finish(op))
end

function tests.test_lines_raises_on_a_time_out_and_goes_on_afterwards()
  local server, client = ends.pair({ mode = "byte", timeout = 30 }, { mode = "byte" })
  assert(client:write "whole\npar")
  local got = {}
  ends.raises("timed out", function()
    for line in server:lines() do
      got[#got + 1] = line
    end
  end)
  t.assertEquals(got, { "whole" })
  assert(client:write "tial\n")
  t.assertEquals(server:read_line(5000), "partial")
end

function tests.test_what_came_before_a_time_out_stays()
  local server, client = ends.byte_pair()
  assert(client:write "abc")
  ends.fails("timeout", server:read_exact(5, 30))
  assert(client:write "de")
  t.assertEquals(server:read_exact(5, 5000), "abcde")
end

-- 20 MiB whose reader is slower than the writer.
local function stream(write)
  local server, client = ends.byte_pair()
  local block = ends.pattern(1 << 20)
  local size = 20 << 20
  local writer = pipe.spawn(function()
    write(client, block, 20)
    client:close()
  end)
  local twice = block .. block
  local got, turns = 0, 0
  while got < size do
    local part = assert(server:read(50000, 20000))
    local from = got % #block + 1
    t.assertTrue(part == twice:sub(from, from + #part - 1), "the bytes differ")
    got = got + #part
    turns = turns + 1
    if turns % 16 == 0 then
      pipe.sleep(1)
    end
  end
  ends.fails("closed", server:read(1, 5000))
  ends.join(writer)
  t.assertEquals(got, size)
end

function tests.test_a_slow_reader_of_one_long_write()
  stream(function(client, block, times)
    assert(client:write(block:rep(times), 25000))
  end)
end

function tests.test_a_slow_reader_of_many_writes()
  stream(function(client, block, times)
    for _ = 1, times do
      for i = 1, #block, 30000 do
        assert(client:write(block:sub(i, i + 29999), 25000))
      end
    end
  end)
end

function tests.test_one_read_of_much()
  local server, client = ends.byte_pair()
  local text = ends.pattern(3 << 20)
  local op = client:write_op(text)
  t.assertTrue(server:read_exact(#text, 20000) == text)
  t.assertTrue(ends.finish(op))
end

function tests.test_message_calls_do_not_fit_a_byte_pipe()
  local server, client = ends.byte_pair()
  ends.raises("message pipe", server.send, server, "x")
  ends.raises("message pipe", client.receive, client)
  ends.raises("message mode", client.transact, client, "x")
end

return tests
