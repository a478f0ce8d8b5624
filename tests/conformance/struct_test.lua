-- SPDX-License-Identifier: MIT
-- pipehost.struct: layouts of fixed size.
local ends = require "ends"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local tests = {}

local Info = pipehost.struct("<", { name = "CLIENT_SERVER_INFO", { "iFage", "i4" } })
local Mixed = pipehost.struct("<", {
  { "flag", "I1" }, { "count", "I2" }, { "total", "i8" }, { "ratio", "d" }, { "tag", "c4" },
})

function tests.test_pack_and_unpack()
  t.equal_bytes(Info:pack { iFage = 3 }, "\3\0\0\0")
  t.equal_bytes(Info:pack { iFage = -2 }, "\xfe\xff\xff\xff")
  t.assertEquals(Info:unpack "\xfe\xff\xff\xff", { iFage = -2 })
  t.assertEquals(Info.size, 4)
  local values = { flag = 255, count = 65535, total = math.mininteger, ratio = -0.5, tag = "ab\0c" }
  t.assertEquals(Mixed:unpack(Mixed:pack(values)), values)
  t.assertEquals(Mixed.size, 23)
end

function tests.test_byte_order()
  t.equal_bytes(pipehost.struct(">", { { "n", "I4" } }):pack { n = 1 }, "\0\0\0\1")
  t.equal_bytes(pipehost.struct("<", { { "n", "I4" } }):pack { n = 1 }, "\1\0\0\0")
end

function tests.test_alignment_is_that_of_c()
  local Aligned = pipehost.struct("<!8", { { "a", "I1" }, { "b", "i8" }, { "c", "I2" }, { "d", "I1" } })
  t.assertEquals(Aligned.size, 24) -- tail included
  local bytes = Aligned:pack { a = 1, b = 2, c = 3, d = 4 }
  t.equal_bytes(bytes, "\1" .. ("\0"):rep(7) .. "\2" .. ("\0"):rep(7) .. "\3\0\4" .. ("\0"):rep(5))
  t.assertEquals(Aligned:unpack(bytes), { a = 1, b = 2, c = 3, d = 4 })
  t.assertEquals(pipehost.struct("<!4", { { "a", "i8" }, { "b", "I1" } }).size, 12)
  t.assertEquals(pipehost.struct("<!8", { { "text", "c5" }, { "n", "I2" }, { "last", "c1" } }).size, 10)
  t.assertEquals(pipehost.struct("<!8", { { "text", "c5" } }).size, 5)
end

function tests.test_values_of_a_wrong_size()
  for _, bytes in ipairs { "", "abc", "abcde" } do
    local value, code, info = Info:unpack(bytes)
    t.assertNil(value)
    t.assertEquals(code, "protocol")
    t.assertEquals(info.code, "protocol")
    t.assertEquals(info.expected, 4)
    t.assertEquals(info.got, #bytes)
    t.assertStrContains(info.message, "CLIENT_SERVER_INFO")
    t.assertStrContains(info.message, "has 4 bytes, but " .. #bytes .. " came")
  end
end

function tests.test_pack_says_which_field_is_wrong()
  ends.raises("field 'iFage' is missing", Info.pack, Info, {})
  ends.raises("did you mean 'iFage'", Info.pack, Info, { iFage = 1, iFag = 1 })
  ends.raises("table of its fields", Info.pack, Info, 3)
  ends.raises("field 'iFage'", Info.pack, Info, { iFage = 1 << 40 })
  ends.raises("field 'iFage'", Info.pack, Info, { iFage = "three" })
  ends.raises("field 'iFage'", Info.pack, Info, { iFage = 1.5 })
  ends.raises("field 'tag'", Mixed.pack, Mixed,
    { flag = 1, count = 1, total = 1, ratio = 1, tag = "too long" })
end

function tests.test_declarations_that_are_none()
  ends.raises("no code", pipehost.struct, "<", { { "text", "s4" } })
  ends.raises("no code", pipehost.struct, "<", { { "text", "z" } })
  ends.raises("no code", pipehost.struct, "<", { { "n", "Q" } })
  ends.raises("no code", pipehost.struct, "<", { { "n", "i4i4" } })
  ends.raises("no code", pipehost.struct, "<", { { "n", "x" } })
  ends.raises("no code", pipehost.struct, "<", { { "n", "" } })
  ends.raises("two fields are named 'n'", pipehost.struct, "<", { { "n", "I4" }, { "n", "I4" } })
  ends.raises("field 1 needs a name", pipehost.struct, "<", { "I4" })
  ends.raises("field 2 needs a name", pipehost.struct, "<", { { "n", "I4" }, { "I4" } })
  ends.raises("prefix", pipehost.struct, { { "n", "I4" } })
end

function tests.test_dump_has_a_line_for_each_field()
  local dump = Mixed:dump(Mixed:pack { flag = 1, count = 0x1234, total = -1, ratio = 0, tag = "abcd" })
  local lines = {}
  for line in dump:gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  t.assertEquals(#lines, 5)
  t.assertStrMatches(lines[1], " *0  01 +flag = 1")
  t.assertStrMatches(lines[2], " *1  34 12 +count = 4660")
  t.assertStrMatches(lines[5], " *19  61 62 63 64 +tag = abcd")
end

return tests
