-- SPDX-License-Identifier: MIT
-- pipehost.struct: random layouts and values. The seed is in each message; with
-- PH_SEED the same ones come again.
local struct = require "pipehost.struct"
local t = require "pipehost.test"

local ROUNDS = 400
local DEPTH = 3

local tests = {}

local prefixes = { "<", ">", "=", "<!8", ">!8", "<!4", ">!2", "!" }
local codes = { "b", "B", "h", "H", "i4", "I4", "l", "L", "j", "I8", "T", "f", "d", "n", "i1", "I2", "c1", "c5" }
local code_points = { 0x21, 0x7e, 0xe9, 0x20ac, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x1f600, 0x10ffff }

local function pick(list)
  return list[math.random(#list)]
end

local function random_bytes(length)
  local bytes = {}
  for i = 1, length do
    bytes[i] = string.char(math.random(0, 255))
  end
  return table.concat(bytes)
end

-- A value of the code, as unpack gives it: any bytes but those of a NaN.
local function random_value(code)
  local value
  repeat
    value = string.unpack("<" .. code, random_bytes(string.packsize("<" .. code)))
  until value == value
  return value
end

local function random_text(width)
  local text = random_bytes(math.random(0, width)):gsub("\0", "x")
  return text
end

local function random_wide(width)
  local text, used = {}, 0
  for _ = 1, math.random(0, width) do
    local code = pick(code_points)
    used = used + (code >= 0x10000 and 2 or 1)
    if used > width then
      break
    end
    text[#text + 1] = utf8.char(code)
  end
  return table.concat(text)
end

-- Each kind: the declaration without its name, and a function that makes values.
local kinds = {}

function kinds.code()
  local code = pick(codes)
  return { code }, function()
    return random_value(code)
  end
end

function kinds.text()
  local width = math.random(1, 9)
  return { ("char[%d]"):format(width) }, function()
    return random_text(width)
  end
end

function kinds.wide()
  local width = math.random(1, 9)
  return { ("wchar[%d]"):format(width) }, function()
    return random_wide(width)
  end
end

function kinds.enum()
  local open = math.random() < 0.5
  return { pick { "b", "H", "I4", "i8" }, enum = { one = 1, two = 2, none = 0 }, rest = open }, function()
    return pick { "one", "two", "none", open and 77 or "one" }
  end
end

function kinds.flags()
  local open = math.random() < 0.5
  return { pick { "B", "H", "I4", "I8" }, flags = { a = 1, b = 2, c = 0x80 }, rest = open }, function()
    local function maybe()
      return math.random() < 0.5 or nil
    end
    return { a = maybe(), b = maybe(), c = maybe(), rest = open and maybe() and 0x44 or nil }
  end
end

function kinds.constant()
  local code = pick { "B", "i4", "d" }
  local value = random_value(code)
  return { code, equals = value }, function()
    return value
  end
end

local random_struct

local function with_count(declared, make)
  if declared.equals ~= nil or math.random() < 0.7 then
    return declared, make
  end
  local count = math.random(1, 5)
  declared.count = count
  return declared, function()
    local list = {}
    for i = 1, count do
      list[i] = make()
    end
    return list
  end
end

local names = { "code", "code", "code", "text", "wide", "enum", "flags", "constant", "inner" }

local function random_field(depth)
  local kind = pick(names)
  if kind ~= "inner" then
    return with_count(kinds[kind]())
  elseif depth == 0 then
    return with_count(kinds.code())
  end
  local of, make = random_struct(depth - 1)
  return with_count({ of }, make)
end

local function random_tail()
  local code = pick { "s1", "s2", "s4", "z", "bytes" }
  return { code }, function()
    return code == "z" and random_text(20) or random_bytes(math.random(0, 20))
  end
end

function random_struct(depth, tail)
  local fields, makers = {}, {}
  local count = math.random(1, 7)
  for i = 1, count do
    local declared, make
    if i > 1 and i == count and tail then
      declared, make = random_tail()
    else
      declared, make = random_field(depth)
    end
    table.insert(declared, 1, "f" .. i)
    fields[i], makers[i] = declared, make
  end
  return struct(pick(prefixes), fields), function()
    local values = {}
    for i, make in ipairs(makers) do
      values["f" .. i] = make()
    end
    return values
  end
end

local function each_round(fn)
  local first = math.tointeger(tonumber(os.getenv "PH_SEED"))
  for seed = first or 1, first or ROUNDS do
    math.randomseed(seed)
    local of, make = random_struct(DEPTH, math.random() < 0.2)
    local ok, message = xpcall(fn, function(why)
      return ("PH_SEED=%d: %s"):format(seed, debug.traceback(type(why) == "table" and why.msg or tostring(why)))
    end, of, make)
    if not ok then
      error(message, 0)
    end
  end
end

function tests.test_what_is_packed_is_unpacked()
  each_round(function(of, make)
    for _ = 1, 3 do
      local values = make()
      local bytes = of:pack(values)
      t.assertEquals(#bytes, of.size or #bytes)
      t.assertEquals(assert(of:unpack(bytes)), values)
      t.equal_bytes(of:pack(of:unpack(bytes)), bytes)
    end
  end)
end

function tests.test_sizes_and_places_follow_the_alignment()
  each_round(function(of)
    local last = 0
    for _, field in ipairs(of.fields) do
      t.assertTrue(field.offset >= last and field.offset - last < 8)
      last = field.offset + (field.size or 0)
    end
    if of.size then
      t.assertEquals(of.size % of.align, 0)
      t.assertTrue(of.size >= last and of.size - last < of.align)
    end
  end)
end

-- Unpacked, or refused with a place that is in the bytes.
local function check_any(of, bytes)
  local values, code, info = of:unpack(bytes)
  if values then
    local again = of:unpack(of:pack(values))
    -- What does not come back is a NaN's own value, which is not equal to itself.
    t.assertEquals(#of:pack(again), #bytes)
  else
    t.assertEquals(code, "protocol")
    t.assertTrue(info.field == nil or info.offset <= #bytes)
    t.assertStrContains(info.message, tostring(of))
  end
end

function tests.test_any_bytes_are_unpacked_or_refused()
  each_round(function(of, make)
    for _ = 1, 3 do
      check_any(of, random_bytes(of.size or math.random(0, 60)))
    end
    local bytes = of:pack(make())
    for _ = 1, 5 do
      local at = math.random(#bytes + 1)
      check_any(of, (bytes:sub(1, at - 1) .. random_bytes(1) .. bytes:sub(at + 1)):sub(1, #bytes))
      check_any(of, bytes:sub(1, at - 1))
    end
    check_any(of, bytes .. "x")
  end)
end

function tests.test_a_wrong_size_is_refused()
  each_round(function(of, make)
    local bytes = of:pack(make())
    if of.size then
      for _, wrong in ipairs { bytes:sub(1, -2), bytes .. "\0", "" } do
        local values, code, info = of:unpack(wrong)
        t.assertEquals({ values, code, info.expected, info.got }, { nil, "protocol", of.size, #wrong })
      end
    end
  end)
end

function tests.test_dump_takes_any_bytes()
  each_round(function(of, make)
    local bytes = of:pack(make())
    for _, any in ipairs { bytes, bytes:sub(1, math.random(#bytes + 1) - 1), "", random_bytes(#bytes), bytes .. "x" } do
      local text = of:dump(any)
      for _, field in ipairs(of.fields) do
        t.assertStrContains(text, field.name)
      end
    end
  end)
end

return tests
