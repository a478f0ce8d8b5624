-- SPDX-License-Identifier: MIT
-- pipehost.struct: each mistake, and what is said about it.
local struct = require "pipehost.struct"
local t = require "pipehost.test"

local tests = {}

-- Raises this message, with the place in this file.
local function raises(message, fn, ...)
  local ok, got = pcall(fn, ...)
  t.assertFalse(ok)
  t.assertEquals(got:gsub("^.-errors_test%.lua:%d+: ", "at "), "at " .. message)
end

local function pack_raises(message, of, values)
  raises(message, function()
    local bytes = of:pack(values)
    return bytes
  end)
end

local function declare_raises(message, prefix, fields)
  raises("pipehost.struct: " .. message, function()
    local of = struct(prefix, fields)
    return of
  end)
end

-- Unpacking these bytes gives "protocol" and this much of info.
local function refuses(of, bytes, expected)
  local values, code, info = of:unpack(bytes)
  t.assertNil(values)
  t.assertEquals(code, "protocol")
  for _, key in ipairs { "field", "offset", "expected", "got", "message" } do
    t.assertEquals(info[key], expected[key], key)
  end
  t.assertEquals(info.struct, tostring(of))
  t.assertEquals(tostring(info), expected.message)
end

local Header = struct("<!8", {
  name = "header",
  { "magic", "I4", equals = 0x1234 },
  { "kind", "I2", enum = { ask = 1, done = 2 } },
  { "mode", "I2", flags = { read = 1, write = 2 } },
  { "ids", "I4", count = 3 },
  { "user", "char[4]" },
  { "wide", "wchar[4]" },
})

local Message = struct("<!8", { name = "message", { "a", "B" }, { "header", Header }, { "list", Header, count = 2 } })

local function header(changes)
  local values = { kind = "ask", mode = {}, ids = { 1, 2, 3 }, user = "me", wide = "you" }
  for key, value in pairs(changes or {}) do
    values[key] = value
    if value == "nil" then
      values[key] = nil
    end
  end
  return values
end

local function message(changes, second)
  return { a = 1, header = header(changes), list = { header(), header(second) } }
end

-- Packing -----------------------------------------------------------------------

function tests.test_missing()
  pack_raises("struct message: field 'a' is missing", Message, {})
  pack_raises("struct message: field 'header' is missing", Message, { a = 1 })
  pack_raises("struct message: field 'header.kind' is missing", Message, message { kind = "nil" })
  pack_raises("struct message: field 'header.ids[2]' is missing", Message, message { ids = { 1, nil, 3 } })
  pack_raises("struct message: field 'list[2].user' is missing", Message, message({}, { user = "nil" }))
end

function tests.test_unknown()
  pack_raises("struct message: unknown field 'header.usr' (did you mean 'user'?)", Message, message { usr = 1 })
  pack_raises("struct message: unknown field 'list[2].other_thing'", Message, message({}, { other_thing = 1 }))
  pack_raises("struct header: unknown field '1'", Header, { "x" })
  pack_raises("struct message: field 'header.ids': a list of 3 expected, but it has the key 4", Message,
    message { ids = { 1, 2, 3, 4 } })
  pack_raises("struct message: field 'header.ids': a list of 3 expected, but it has the key \"x\"", Message,
    message { ids = { 1, 2, 3, x = 4 } })
end

function tests.test_numbers_that_do_not_fit()
  pack_raises("struct message: field 'header.ids[2]': -1 does not fit I4 (unsigned overflow)", Message,
    message { ids = { 1, -1, 3 } })
  pack_raises("struct: field 'a': 300 (0x12c) does not fit b (integer overflow)", struct("<", { { "a", "b" } }),
    { a = 300 })
  pack_raises("struct: field 'a': number expected, got string", struct("<", { { "a", "b" } }), { a = "x" })
  pack_raises("struct: field 'a': number has no integer representation", struct("<", { { "a", "b" } }), { a = 1.5 })
  pack_raises("struct: field 'a': number expected, got boolean", struct("<", { { "a", "i16" } }), { a = false })
  pack_raises("struct: field 'a': \"abc\" does not fit c2 (string longer than given size)",
    struct("<", { { "a", "c2" } }), { a = "abc" })
end

function tests.test_wrong_types()
  pack_raises("struct message: pack takes a table of its fields", Message, "x")
  pack_raises("struct message: field 'header': a table of its fields expected, got 1", Message, { a = 1, header = 1 })
  pack_raises("struct message: field 'header.ids': a list of 3 expected, got 1", Message, message { ids = 1 })
  pack_raises("struct message: field 'header.user': text expected, got number", Message, message { user = 1 })
end

function tests.test_names()
  pack_raises("struct message: field 'header.kind': \"dome\" is none of its names (did you mean 'done'?)", Message,
    message { kind = "dome" })
  pack_raises("struct message: field 'header.kind': 1 is none of its names", Message, message { kind = 1 })
  pack_raises("struct message: field 'list[2].mode': \"raed\" is none of its flags (did you mean 'read'?)", Message,
    message({}, { mode = { raed = true } }))
  pack_raises("struct message: field 'header.mode': flag 'read' is true or false, got 1", Message,
    message { mode = { read = 1 } })
  pack_raises("struct message: field 'header.mode': a table of flags expected, as { read = true }, got 3", Message,
    message { mode = 3 })
  local open = struct("<", { { "mode", "B", flags = { a = 1 }, rest = true } })
  pack_raises("struct: field 'mode': rest is a number of bits without names, got 3", open, { mode = { rest = 3 } })
  pack_raises("struct: field 'mode': 256 (0x100) does not fit B (unsigned overflow)", open, { mode = { rest = 256 } })
end

function tests.test_constants_are_not_changed()
  pack_raises("struct message: field 'header.magic' is always 4660 (0x1234), not 7", Message, message { magic = 7 })
end

function tests.test_text()
  pack_raises("struct message: field 'header.user': \"hello\" has 5 bytes, but char[4] holds 4", Message,
    message { user = "hello" })
  pack_raises("struct message: field 'header.user': the text has a NUL in it, where its reader would cut it", Message,
    message { user = "a\0b" })
  pack_raises("struct message: field 'header.wide': \"ab😀c\" has 5 units of UTF-16, but wchar[4] holds 4", Message,
    message { wide = "ab😀c" })
  pack_raises("struct message: field 'header.wide': no UTF-8 at byte 2 of 61 ff  |a.|", Message,
    message { wide = "a\xff" })
  pack_raises("struct message: field 'header.wide': no UTF-8 at byte 1 of ed a0 80  |...|", Message,
    message { wide = "\xed\xa0\x80" })
end

function tests.test_tails()
  local of = struct("<", { { "n", "B", default = 1 }, { "text", "s1" } })
  pack_raises("struct: field 'text': string expected, got number", of, { text = 1 })
  local ok, got = pcall(of.pack, of, { text = ("x"):rep(256) })
  t.assertFalse(ok)
  t.assertStrContains(got, "struct: field 'text': ")
  t.assertStrContains(got, "does not fit s1")
  of = struct("<", { { "n", "B", default = 1 }, { "text", "z" } })
  pack_raises("struct: field 'text': string contains zeros", of, { text = "a\0b" })
end

-- Unpacking ---------------------------------------------------------------------

-- The bytes of a good message with others from this offset on.
local function with(offset, bytes)
  local good = Message:pack(message())
  return good:sub(1, offset) .. bytes .. good:sub(offset + #bytes + 1)
end

function tests.test_wrong_sizes()
  refuses(Message, "abc", { expected = 100, got = 3, message = "struct message has 100 bytes, but 3 came" })
  refuses(Message, ("x"):rep(101), {
    expected = 100, got = 101, message = "struct message has 100 bytes, but 101 came",
  })
  refuses(struct("<", { { "a", "I4" }, { "b", "bytes" } }), "", {
    expected = 4, got = 0, message = "struct has at least 4 bytes, but 0 came",
  })
end

function tests.test_wrong_constants()
  refuses(Message, with(4, "\1\2\0\0"), {
    field = "header.magic", offset = 4, expected = 0x1234, got = 0x201,
    message = "struct message: field 'header.magic' at offset 4: expected 4660 (0x1234), got 513 (0x201)",
  })
  refuses(struct("<", { { "a", "B" }, { "tag", "char[4]", equals = "RIFF" } }), "\1RIFX", {
    field = "tag", offset = 1, expected = "RIFF", got = "RIFX",
    message = "struct: field 'tag' at offset 1: expected \"RIFF\", got \"RIFX\"",
  })
  refuses(struct("<", { { "tag", "char[4]", equals = "RI" } }), "RI\0x", {
    field = "tag", offset = 0, expected = "RI\0\0", got = "RI\0x",
    message = "struct: field 'tag' at offset 0: expected 52 49 00 00  |RI..|, got 52 49 00 78  |RI.x|",
  })
  refuses(struct("<", { { "ids", "B", count = 2, equals = { 1, 2 } } }), "\1\3", {
    field = "ids", offset = 0, expected = "\1\2", got = "\1\3",
    message = "struct: field 'ids' at offset 0: expected 01 02  |..|, got 01 03  |..|",
  })
end

function tests.test_unknown_numbers_and_bits()
  refuses(Message, with(8, "\7"), {
    field = "header.kind", offset = 8, expected = "one of ask, done", got = 7,
    message = "struct message: field 'header.kind' at offset 8: expected one of ask, done, got 7",
  })
  local second = Message.fields[3].offset + Header.size
  refuses(Message, with(second + 6, "\5\1"), {
    field = "list[2].mode", offset = second + 6, expected = "only bits of 0x3", got = 0x105,
    message = ("struct message: field 'list[2].mode' at offset %d: expected only bits of 0x3, got 261 (0x105)")
      :format(second + 6),
  })
  refuses(struct("<", { { "k", "H", count = 3, enum = { a = 0 } } }), "\0\0\0\0\1\0", {
    field = "k[3]", offset = 4, expected = "one of a", got = 1,
    message = "struct: field 'k[3]' at offset 4: expected one of a, got 1",
  })
end

function tests.test_surrogates()
  local wide = 4 + Header.fields[6].offset
  local expected = {
    field = "header.wide", offset = wide + 2, expected = "a surrogate and its other half", got = 0xd83d,
    message = ("struct message: field 'header.wide' at offset %d: expected a surrogate and its other half, "
      .. "got 55357 (0xd83d)"):format(wide + 2),
  }
  refuses(Message, with(wide, "a\0\x3d\xd8b\0\0\0"), expected)
  refuses(Message, with(wide, "a\0\x3d\xd8\0\0\0\0"), expected)
  refuses(Message, with(wide, "a\0\x3d\xd8\x3d\xd8\0\xde"), expected)
  local values = Message:unpack(with(wide, "a\0b\0c\0\x3d\xd8"))
  t.assertNil(values, "cut at the end")
  values = Message:unpack(with(wide, "\0\xde\0\0\0\0\0\0"))
  t.assertNil(values, "the low half alone")
end

function tests.test_numbers_beyond_64_bits()
  refuses(struct("<", { { "a", "B" }, { "b", "I9" } }), "\1" .. ("\0"):rep(8) .. "\1", {
    field = "b", offset = 1, expected = "an integer of 64 bits", got = ("\0"):rep(8) .. "\1",
    message = "struct: field 'b' at offset 1: expected an integer of 64 bits, "
      .. "got 00 00 00 00 00 00 00 00 01  |.........|",
  })
end

function tests.test_wrong_tails()
  local of = struct("<", { { "a", "B" }, { "text", "s2" } })
  refuses(of, "\1\5\0abc", {
    field = "text", offset = 1, expected = "5 bytes after its length", got = 3,
    message = "struct: field 'text' at offset 1: expected 5 bytes after its length, got 3",
  })
  refuses(of, "\1\1\0abc", {
    field = "text", offset = 1, expected = "1 bytes after its length", got = 3,
    message = "struct: field 'text' at offset 1: expected 1 bytes after its length, got 3",
  })
  refuses(of, "\1\1", {
    field = "text", offset = 1, expected = "a length of 2 bytes", got = 1,
    message = "struct: field 'text' at offset 1: expected a length of 2 bytes, got 1",
  })
  for _, length in ipairs { ("\xff"):rep(8), ("\xff"):rep(7) .. "\x7f" } do
    local values, code = struct("<", { { "n", "B" }, { "text", "s8" } }):unpack("\1" .. length .. "abc")
    t.assertNil(values)
    t.assertEquals(code, "protocol")
  end
  for _, bytes in ipairs { "", "abc", "ab\0c", "ab\0\0" } do
    local values, code = struct("<", { { "n", "B" }, { "text", "z" } }):unpack("\1" .. bytes)
    t.assertNil(values)
    t.assertEquals(code, "protocol")
  end
end

function tests.test_unpack_and_dump_take_strings()
  raises("struct header: unpack takes a string, this is a nil", function()
    local values = Header:unpack(nil)
    return values
  end)
  raises("struct header: dump takes a string, this is a number", function()
    local text = Header:dump(1)
    return text
  end)
end

-- Declaring ---------------------------------------------------------------------

function tests.test_declared_wrongly()
  raises("pipehost.struct(prefix, fields): a text such as \"<\" and a list of fields", function()
    local of = struct { { "a", "B" } }
    return of
  end)
  declare_raises("field 1 needs a name and a code, as { \"size\", \"I4\" }", "<", { { "a" } })
  declare_raises("field 2 needs a name and a code, as { \"size\", \"I4\" }", "<", { { "a", "B" }, "b" })
  declare_raises("two fields are named 'a'", "<", { { "a", "B" }, { "a", "B" } })
  for _, prefix in ipairs { "?", "<!3", "<8", "!32", "B" } do
    declare_raises(("prefix '%s': it is < > or =, then ! and the largest alignment (1 2 4 8 16) if any")
      :format(prefix), prefix, {})
  end
end

function tests.test_wrong_types_of_fields()
  for _, code in ipairs {
    "q", "I17", "i0", "I4I4", "x", "Xi", "c", "s17", "char", "char[]", "char[x]", "wwchar[2]", " ", "",
  } do
    declare_raises(("field 'a': '%s' is no code of one value, no char[n], no wchar[n] and no struct"):format(code),
      "<", { { "a", code } })
  end
  declare_raises("field 'a': 'char[0]': the width is 1 to 65536", "<", { { "a", "char[0]" } })
  declare_raises("field 'a': 3 bytes cannot be aligned; take c3, or a prefix without '!'", "<!8", { { "a", "I3" } })
  for _, code in ipairs { "s", "s4", "z", "bytes" } do
    local not_fixed = "field 'a': '" .. code .. "' is no code of fixed size; only the last field after others may be so"
    declare_raises(not_fixed, "<", { { "a", code }, { "b", "B" } })
    declare_raises(not_fixed, "<", { { "a", code } })
    declare_raises(("field 'a': '%s' has no fixed size, so no count and no equals"):format(code), "<",
      { { "n", "B" }, { "a", code, count = 2 } })
  end
  declare_raises("field 'a': a struct of variable size cannot be inside another", "<",
    { { "a", struct("<", { { "n", "B" }, { "z", "z" } }) } })
end

function tests.test_wrong_options()
  local function wrong(message_after, declared)
    declare_raises("field 'a': " .. message_after, "<", { declared })
  end
  wrong("unknown option 'cuont' (did you mean 'count'?)", { "a", "B", cuont = 3 })
  wrong("options have names, but one has the key 3", { "a", "B", 3 })
  wrong("count is 1 to 65536", { "a", "B", count = 0 })
  wrong("count is 1 to 65536", { "a", "B", count = 65537 })
  wrong("count is 1 to 65536", { "a", "B", count = "3" })
  wrong("enum and flags exclude each other", { "a", "B", enum = { x = 1 }, flags = { x = 1 } })
  wrong("rest belongs to enum or flags", { "a", "B", rest = true })
  wrong("a constant takes no default", { "a", "B", equals = 1, default = 1 })
  wrong("equals: 256 (0x100) does not fit B (unsigned overflow)", { "a", "B", equals = 256 })
  wrong("default: 256 (0x100) does not fit B (unsigned overflow)", { "a", "B", default = 256 })
  wrong("default[2] is missing", { "a", "B", count = 2, default = { 1 } })
  wrong("default.x is missing", { "a", struct("<", { { "x", "B" } }), default = {} })
  declare_raises("field 'a': default: string expected, got number", "<", { { "n", "B" }, { "a", "z", default = 3 } })
end

function tests.test_wrong_names()
  local function wrong(message_after, declared)
    declare_raises("field 'a': " .. message_after, "<", { declared })
  end
  wrong("enum needs an integer of at most 8 bytes", { "a", "f", enum = { x = 1 } })
  wrong("enum needs an integer of at most 8 bytes", { "a", "char[2]", enum = { x = 1 } })
  declare_raises("field 'a': enum needs an integer of at most 8 bytes", "<",
    { { "n", "B" }, { "a", "s4", enum = { x = 1 } } })
  wrong("enum is a table of names and numbers, as { ask = 1 }", { "a", "B", enum = {} })
  wrong("enum is a table of names and numbers, as { ask = 1 }", { "a", "B", enum = { "ask" } })
  wrong("enum: 'x' and 'y' are both 1", { "a", "B", enum = { y = 1, x = 1 } })
  wrong("enum: 'x': 256 (0x100) does not fit B (unsigned overflow)", { "a", "B", enum = { x = 256 } })
  wrong("flags: 'x' is not one bit", { "a", "B", flags = { x = 3 } })
  wrong("flags: 'x' is not one bit", { "a", "B", flags = { x = 0 } })
  wrong("flags need an unsigned code", { "a", "b", flags = { x = 1 } })
  wrong("flags: with rest = true no flag can be named 'rest'", { "a", "B", flags = { rest = 1 }, rest = true })
end

-- Names that a struct has not -----------------------------------------------------

function tests.test_near_names_of_methods()
  local of = struct("<", { { "a", "B" }, { "b", "bytes" } })
  raises("a struct has no 'unpakc' (did you mean 'unpack'?)", function()
    return of:unpakc "x", 1
  end)
  t.assertNil(of.name)
  t.assertNil(of.size)
end

return tests
