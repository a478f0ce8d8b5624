-- SPDX-License-Identifier: MIT
-- pipehost.struct: what fields are packed to and unpacked from.
local struct = require "pipehost.struct"
local t = require "pipehost.test"

local tests = {}

-- Packs to these bytes, and back.
local function both_ways(of, values, bytes)
  t.equal_bytes(of:pack(values), bytes)
  t.assertEquals(of:unpack(bytes), values)
end

local function places(of)
  local list = {}
  for i, field in ipairs(of.fields) do
    list[i] = { field.name, field.offset, field.size }
  end
  return list
end

-- Codes and alignment -----------------------------------------------------------

function tests.test_flat()
  local of = struct("<", { name = "flat", { "a", "i2" }, { "b", "I4" }, { "c", "d" } })
  both_ways(of, { a = -2, b = 0x01020304, c = 1.5 }, "\xfe\xff\4\3\2\1" .. string.pack("<d", 1.5))
  t.assertEquals(of.size, 14)
  t.assertEquals(of.name, "flat")
  t.assertEquals(tostring(of), "struct flat")
  t.assertEquals(places(of), { { "a", 0, 2 }, { "b", 2, 4 }, { "c", 6, 8 } })
end

function tests.test_every_code_has_string_packs_size_and_place()
  for code in ("b B h H i I l L j J T f d n i1 i2 i4 i8 i16 I1 I2 I4 I8 I16"):gmatch "%S+" do
    for _, prefix in ipairs { "<", ">", "=", "", "!", "<!", ">!1", "<!2", ">!4", "= !8", "<!16" } do
      local of = struct(prefix, { { "a", "B" }, { "b", code }, { "c", "B" } })
      local format = prefix .. "B" .. code .. "B"
      t.assertEquals(of.fields[3].offset + 1, string.packsize(format), format)
      local value = code:match "[fdn]" and 0.5 or 77
      t.equal_bytes(of:pack { a = 1, b = value, c = 2 }:sub(1, string.packsize(format)),
        string.pack(format, 1, value, 2))
      t.assertEquals(of:unpack(of:pack { a = 1, b = value, c = 2 }), { a = 1, b = value, c = 2 })
    end
  end
end

function tests.test_odd_widths()
  both_ways(struct("<", { { "a", "i3" }, { "b", "I5" }, { "c", "i12" } }), { a = -1, b = 5, c = -2 },
    "\xff\xff\xff\5\0\0\0\0\xfe" .. ("\xff"):rep(11))
  both_ways(struct("<!8", { { "a", "B" }, { "b", "c3" } }), { a = 1, b = "abc" }, "\1abc")
end

function tests.test_byte_order()
  local inner = struct(">", { { "n", "I2" } })
  local of = struct("<", { { "a", "I2" }, { "in_it", inner }, { "list", inner, count = 2 }, { "b", "I2" } })
  both_ways(of, { a = 1, in_it = { n = 2 }, list = { { n = 3 }, { n = 4 } }, b = 5 }, "\1\0\0\2\0\3\0\4\5\0")
end

function tests.test_padding_inside_and_at_the_end()
  local of = struct("<!8", { { "a", "B" }, { "b", "I8" }, { "c", "B" } })
  t.assertEquals(of.size, 24)
  t.assertEquals(of.align, 8)
  both_ways(of, { a = 1, b = 2, c = 3 }, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0")
  t.assertEquals(struct("<!4", { { "a", "B" }, { "b", "I8" }, { "c", "B" } }).size, 16)
  t.assertEquals(struct("<", { { "a", "B" }, { "b", "I8" }, { "c", "B" } }).size, 10)
end

function tests.test_what_is_in_the_padding_does_not_matter()
  local of = struct("<!8", { { "a", "B" }, { "b", "I4" } })
  t.assertEquals(of:unpack "\1xyz\2\0\0\0", { a = 1, b = 2 })
end

function tests.test_empty()
  both_ways(struct("<!8", {}), {}, "")
end

-- Nested ------------------------------------------------------------------------

local Point = struct("<!8", { name = "point", { "tag", "B" }, { "x", "I4" } })

function tests.test_nested()
  local of = struct("<!8", { { "a", "B" }, { "p", Point }, { "b", "B" } })
  t.assertEquals(places(of), { { "a", 0, 1 }, { "p", 4, 8 }, { "b", 12, 1 } })
  t.assertEquals(of.size, 16)
  t.assertIs(of.fields[2].struct, Point)
  both_ways(of, { a = 1, p = { tag = 2, x = 3 }, b = 4 }, "\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0")
end

function tests.test_nested_in_a_packed_one_keeps_its_inside()
  local of = struct("<", { { "a", "B" }, { "p", Point } })
  t.assertEquals(places(of), { { "a", 0, 1 }, { "p", 1, 8 } })
  local packed = struct("<", { { "tag", "B" }, { "x", "I4" } })
  t.assertEquals(places(struct("<!8", { { "a", "B" }, { "p", packed } })), { { "a", 0, 1 }, { "p", 1, 5 } })
end

function tests.test_arrays()
  both_ways(struct("<!8", { { "a", "B" }, { "ids", "I2", count = 3 } }), { a = 1, ids = { 2, 3, 4 } },
    "\1\0\2\0\3\0\4\0")
  local of = struct("<!8", { { "points", Point, count = 2 } })
  t.assertEquals(of.fields[1].count, 2)
  both_ways(of, { points = { { tag = 1, x = 2 }, { tag = 3, x = 4 } } }, "\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0")
  both_ways(struct("<", { { "names", "char[3]", count = 2 } }), { names = { "ab", "" } }, "ab\0\0\0\0")
  both_ways(struct("<", { { "k", "B", count = 2, enum = { x = 1, y = 2 } } }), { k = { "y", "x" } }, "\2\1")
end

function tests.test_large_array()
  local of, list = struct("<", { { "a", "B", count = 65536 } }), {}
  for i = 1, 65536 do
    list[i] = i & 255
  end
  t.assertEquals(of:unpack(of:pack { a = list }).a[65536], 0)
end

function tests.test_one_struct_used_often()
  local a = struct("<", { { "p", Point } })
  local b = struct("<", { { "p", Point, count = 2 }, { "q", Point } })
  t.assertEquals(a.size + b.size, 32)
  t.assertEquals(Point.size, 8)
end

-- Constants, names, defaults ------------------------------------------------------

function tests.test_constants_need_not_be_given()
  local of = struct("<", { { "magic", "I4", equals = 0x1234 }, { "tag", "char[4]", equals = "RIF" } })
  t.equal_bytes(of:pack {}, "\x34\x12\0\0RIF\0")
  both_ways(of, { magic = 0x1234, tag = "RIF" }, "\x34\x12\0\0RIF\0")
end

function tests.test_constants_of_every_kind()
  local of = struct("<", {
    { "ids", "I2", count = 2, equals = { 1, 2 } },
    { "p", Point, equals = { tag = 1, x = 2 } },
    { "kind", "B", enum = { ask = 7 }, equals = "ask" },
    { "mode", "B", flags = { r = 1, w = 2 }, equals = { w = true } },
    { "c", "c3", equals = "ab" },
  })
  local values = of:unpack(of:pack {})
  t.assertEquals(values, {
    ids = { 1, 2 }, p = { tag = 1, x = 2 }, kind = "ask", mode = { w = true }, c = "ab\0",
  })
  t.equal_bytes(of:pack(values), of:pack {})
end

function tests.test_enum()
  local of = struct("<", { { "kind", "I4", enum = { ask = 1, done = 2 } } })
  both_ways(of, { kind = "done" }, "\2\0\0\0")
  of = struct("<", { { "kind", "b", enum = { low = -1, ["a name"] = 0 } } })
  both_ways(of, { kind = "low" }, "\xff")
  both_ways(of, { kind = "a name" }, "\0")
end

function tests.test_enum_with_rest()
  local of = struct("<", { { "kind", "B", enum = { ask = 1 }, rest = true } })
  both_ways(of, { kind = "ask" }, "\1")
  both_ways(of, { kind = 9 }, "\9")
  t.equal_bytes(of:pack { kind = 1 }, "\1")
end

function tests.test_flags()
  local of = struct("<", { { "mode", "I2", flags = { read = 1, write = 2, all = 0x8000 } } })
  both_ways(of, { mode = {} }, "\0\0")
  both_ways(of, { mode = { read = true, all = true } }, "\1\x80")
  t.equal_bytes(of:pack { mode = { read = true, write = false } }, "\1\0")
  of = struct("<", { { "mode", "I8", flags = { top = math.mininteger } } })
  both_ways(of, { mode = { top = true } }, "\0\0\0\0\0\0\0\x80")
end

function tests.test_flags_with_rest()
  local of = struct("<", { { "mode", "B", flags = { read = 1 }, rest = true } })
  both_ways(of, { mode = { read = true } }, "\1")
  both_ways(of, { mode = { rest = 0xc0 } }, "\xc0")
  both_ways(of, { mode = { read = true, rest = 4 } }, "\5")
end

function tests.test_defaults()
  local of = struct("<", {
    { "a", "B", default = 7 }, { "p", Point, default = { tag = 1, x = 2 } },
    { "kind", "B", enum = { ask = 1 }, default = "ask" }, { "ids", "B", count = 2, default = { 3, 4 } },
    { "text", "z", default = "hi" },
  })
  t.assertEquals(of:unpack(of:pack {}), { a = 7, p = { tag = 1, x = 2 }, kind = "ask", ids = { 3, 4 }, text = "hi" })
  t.assertEquals(of:unpack(of:pack { a = 8 }).a, 8)
end

-- Text --------------------------------------------------------------------------

function tests.test_char()
  local of = struct("<", { { "a", "char[4]" }, { "b", "B" } })
  both_ways(of, { a = "ab", b = 1 }, "ab\0\0\1")
  both_ways(of, { a = "", b = 1 }, "\0\0\0\0\1")
  both_ways(of, { a = "abcd", b = 1 }, "abcd\1")
  t.assertEquals(of:unpack("a\0xy\1"), { a = "a", b = 1 })
end

function tests.test_wchar()
  local of = struct("<!8", { { "a", "B" }, { "w", "wchar[4]" } })
  t.assertEquals(places(of), { { "a", 0, 1 }, { "w", 2, 8 } })
  both_ways(of, { a = 1, w = "aö€" }, "\1\0a\0\xf6\0\xac\x20\0\0")
  both_ways(of, { a = 1, w = "😀\u{10ffff}" }, "\1\0\x3d\xd8\x00\xde\xff\xdb\xff\xdf")
  both_ways(of, { a = 1, w = "\u{d7ff}\u{e000}\u{ffff}" }, "\1\0\xff\xd7\x00\xe0\xff\xff\0\0")
  both_ways(of, { a = 1, w = "" }, "\1\0\0\0\0\0\0\0\0\0")
  t.assertEquals(of:unpack("\1\0a\0\0\0\0\xd8\0\xd8"), { a = 1, w = "a" })
end

function tests.test_wchar_is_little_endian_whatever_the_prefix()
  both_ways(struct(">", { { "n", "H" }, { "w", "wchar[2]" } }), { n = 1, w = "ab" }, "\0\1a\0b\0")
end

-- A last field of variable size -----------------------------------------------------

function tests.test_counted_tail()
  local of = struct("<!8", { { "a", "B" }, { "text", "s4" } })
  t.assertNil(of.size)
  t.assertEquals(of.fields[2].offset, 4)
  t.assertNil(of.fields[2].size)
  both_ways(of, { a = 1, text = "hello" }, "\1\0\0\0\5\0\0\0hello")
  both_ways(of, { a = 1, text = "" }, "\1\0\0\0\0\0\0\0")
  both_ways(struct(">", { { "n", "B" }, { "text", "s2" } }), { n = 1, text = "a\0b" }, "\1\0\3a\0b")
end

function tests.test_other_tails()
  both_ways(struct("<", { { "n", "B" }, { "text", "z" } }), { n = 1, text = "hello" }, "\1hello\0")
  both_ways(struct("<", { { "n", "B" }, { "rest", "bytes" } }), { n = 1, rest = "a\0b" }, "\1a\0b")
  both_ways(struct("<", { { "n", "B" }, { "rest", "bytes" } }), { n = 1, rest = "" }, "\1")
  both_ways(struct("<!8", { { "n", "I4" }, { "b", "B" }, { "rest", "bytes" } }), { n = 1, b = 2, rest = "x" },
    "\1\0\0\0\2x")
end

function tests.test_length_prefix()
  local frame = struct("<", { { "length", "I4" } })
  local bytes = struct("<", { { "n", "B" }, { "text", "s4" } }):pack { n = 1, text = "hello" }
  t.equal_bytes("\1" .. frame:pack { length = 5 } .. "hello", bytes)
end

return tests
