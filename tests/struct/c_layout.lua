-- SPDX-License-Identifier: MIT
-- The structs of tests/interop/struct_layout.c, declared here: prints the same
-- lines. The bytes that values are read from are the C program's, in a file of
-- lines "STRUCT HEX".
--
--   pipehost run tests/struct/c_layout.lua FILE
local struct = require "pipehost.struct"

local C = "<!8"

local Point = struct(C, { { "tag", "B" }, { "x", "d" }, { "y", "H" } })
local Tail = struct(C, { name = "tail", { "big", "I8" }, { "small", "B", count = 3 } })

local structs = {
  struct(C, {
    name = "mixed",
    { "a", "b" }, { "b", "h" }, { "c", "B" }, { "d", "i8" }, { "e", "B" }, { "f", "I4" },
    { "g", "f" }, { "h", "d" }, { "i", "B" },
  }),
  struct(C, {
    name = "nested",
    { "first", "B" }, { "one", Point }, { "between", "B" }, { "many", Point, count = 3 },
    { "last", "B" },
  }),
  struct(C, {
    name = "text",
    { "length", "B" }, { "name", "char[5]" }, { "wide", "wchar[6]" }, { "full", "char[3]" },
    { "letters", "wchar[3]" }, { "end", "I4" },
  }),
  struct(C, { name = "tails", { "before", "B" }, { "tails", Tail, count = 2 }, { "after", "H" } }),
  struct(C, {
    name = "native",
    { "c", "c1" }, { "l", "l" }, { "s", "h" }, { "ul", "L" }, { "i", "i" }, { "size", "T" },
  }),
  struct(C, { name = "small", { "a", "B" }, { "b", "H" }, { "c", "B", count = 2 } }),
  struct("<", {
    name = "packed",
    { "a", "B" }, { "b", "I4" }, { "inner", Point }, { "d", "d" }, { "e", "H", count = 3 },
  }),
  struct("<!4", { name = "packed4", { "a", "B" }, { "b", "i8" }, { "inner", Point }, { "c", "H" } }),
}

local values = {
  mixed = { a = -1, b = -1234, c = 200, d = math.mininteger, e = 7, f = 4000000000, g = 0.25, h = -1e100, i = 255 },
  nested = {
    first = 1, one = { tag = 2, x = 1.5, y = 3 }, between = 4,
    many = { { tag = 5, x = -0.5, y = 6 }, { tag = 7, x = 1e-300, y = 8 }, { tag = 9, x = 1024, y = 65535 } },
    last = 10,
  },
  text = { length = 200, name = "pipe", wide = "Zö😀!", full = "ABC", letters = "€ab", ["end"] = 0xdeadbeef },
  tails = {
    before = 1, after = 0xffff,
    tails = { { big = 0x0102030405060708, small = { 1, 2, 3 } }, { big = 9, small = { 4, 5, 6 } } },
  },
  native = { c = "x", l = -5, s = -6, ul = 7, i = -8, size = 9 },
  small = { a = 1, b = 0x0203, c = { 4, 5 } },
  packed = { a = 1, b = 2, inner = { tag = 3, x = 4.5, y = 6 }, d = 7.25, e = { 8, 9, 10 } },
  packed4 = { a = 1, b = -2, inner = { tag = 3, x = 4.5, y = 6 }, c = 7 },
}

local function to_hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local function from_hex(text)
  return (text:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local function print_fields(name, of, path, base)
  for _, field in ipairs(of.fields) do
    local at, offset = path .. field.name, base + field.offset
    print("field", name, at, offset, field.size)
    for i = 1, field.struct and field.count or 0 do
      print_fields(name, field.struct, ("%s[%d]."):format(at, i), offset + (i - 1) * field.struct.size)
    end
    if field.struct and not field.count then
      print_fields(name, field.struct, at .. ".", offset)
    end
  end
end

local function utf16(text)
  local units = {}
  for _, code in utf8.codes(text) do
    if code >= 0x10000 then
      units[#units + 1] = ("%04x"):format(0xd7c0 + (code >> 10))
      code = 0xdc00 + (code & 0x3ff)
    end
    units[#units + 1] = ("%04x"):format(code)
  end
  return table.concat(units)
end

local function print_values(name, value, path)
  if type(value) == "table" then
    for key, inner in pairs(value) do
      local step = math.type(key) and ("[%d]"):format(key) or (path == "" and "" or ".") .. key
      print_values(name, inner, path .. step)
    end
  elseif path == "wide" or path == "letters" then
    print("value", name, path, utf16(value))
  else
    print("value", name, path, math.type(value) == "float" and ("%.17g"):format(value) or value)
  end
end

local from_c = {}
for line in io.lines(...) do
  local name, hex = line:match("^(%w+) (%x+)")
  from_c[name] = from_hex(hex)
end

print("size", "tail", Tail.size)
for _, of in ipairs(structs) do
  print("size", of.name, of.size)
  print("bytes", of.name, to_hex(of:pack(values[of.name])))
  print_fields(of.name, of, "", 0)
  print_values(of.name, assert(of:unpack(from_c[of.name])), "")
end
