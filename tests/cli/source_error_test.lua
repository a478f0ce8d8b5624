-- SPDX-License-Identifier: MIT
-- Where the caret stands, for the kinds of messages that Lua has.
local source_error = require "pipehost.source_error"
local t = require "pipehost.test"

local tests = {}

-- What is added to the message of the source when it is compiled and run.
local function added(text, name, loaded)
  local chunk, message = load(loaded or text, "@" .. (name or "s.lua"))
  if chunk then
    local ok
    ok, message = pcall(chunk)
    t.assertFalse(ok)
  end
  local trace = "\nstack traceback:\n\t[C]: in ?"
  local explained = source_error.explain(message .. trace, { other = "1", gone = false, [name or "s.lua"] = text })
  t.assertEquals(explained:sub(1, #message), message)
  t.assertEquals(explained:sub(-#trace), trace)
  return explained:sub(#message + 1, -#trace - 1)
end

local function shows(text, ...)
  t.assertEquals(added(text), "\n" .. table.concat({ ... }, "\n"))
end

function tests.test_the_token_that_is_meant()
  shows("local xx, x = 1; local y x x",
    "    1 | local xx, x = 1; local y x x",
    "      |                            ^")
  shows("f(a, a, , a)",
    "    1 | f(a, a, , a)",
    "      |         ^")
end

function tests.test_tabs_and_utf8_before_it()
  shows("\tlocal s = 'ü' .. .. 3",
    "    1 | \tlocal s = 'ü' .. .. 3",
    "      | \t                 ^")
end

function tests.test_strings()
  shows("\nlocal s = 'abc\n",
    "    2 | local s = 'abc",
    "      |           ^")
end

function tests.test_what_is_not_closed()
  shows("local list = {\n  1, 2\nlocal x\n",
    "    1 | local list = {",
    "      |              ^",
    "    3 | local x",
    "      | ^")
  shows("if x then\n  f()\n",
    "    1 | if x then",
    "      | ^")
end

function tests.test_names_in_runtime_errors()
  shows("local a = {}\na.b.c = 1",
    "    2 | a.b.c = 1",
    "      |   ^")
  shows("pritn 'x'",
    "    1 | pritn 'x'",
    "      | ^")
end

function tests.test_no_caret_where_the_place_is_not_sure()
  shows("x = x.y.z", "    1 | x = x.y.z")
  shows("error 'no name in it'", "    1 | error 'no name in it'")
end

function tests.test_lines_are_counted_as_the_compiler_does()
  local text = "\xEF\xBB\xBF#!/usr/bin/env pipehost\r\n\r\nlocal = 1\r\n"
  t.assertEquals(added(text, nil, "\n\nlocal = 1\n"), "\n    3 | local = 1\n      |       ^")
end

function tests.test_a_long_path_is_found_by_its_end()
  local name = ("folder/"):rep(30) .. "s.lua"
  t.assertEquals(added("x = }", name), "\n    1 | x = }\n      |     ^")
end

function tests.test_nothing_is_added_where_nothing_is_known()
  for _, message in ipairs { "", "no place", "other.lua:1: x", "s.lua:9: x", "s.lua:0: x", 's.lua:1:' } do
    t.assertEquals(source_error.explain(message, { ["s.lua"] = "a" }), message)
  end
  t.assertEquals(added(("x"):rep(300) .. " = }"), "")
end

function tests.test_a_file_as_it_is_now()
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write "a = }"
  file:close()
  t.assertEquals(source_error.explain_file(path .. ":1: unexpected symbol near '}'"),
    path .. ":1: unexpected symbol near '}'\n    1 | a = }\n      |     ^")
  os.remove(path)
  t.assertEquals(source_error.explain_file(path .. ":1: gone"), path .. ":1: gone")
end

function tests.test_bytes_that_are_no_text_are_not_shown()
  shows("local a = '\27[31m' .. }",
    "    1 | local a = '?[31m' .. }",
    "      |                      ^")
end

return tests
