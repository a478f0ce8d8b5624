-- SPDX-License-Identifier: MIT
-- The fields of a pipehost.struct: their declarations are checked here, and each
-- gets its place.
local codec = require "pipehost.struct.codec"
local core = require "pipehost.core"
local derived = require "pipehost.struct.derived"
local failures = require "pipehost.struct.failure"

---@class pipehost.struct.field
---@field name string
---@field code string the type as declared; "struct" for a nested one
---@field offset integer from the struct's first byte, which is 0
---@field size? integer bytes, of all elements; nil when variable
---@field count? integer of an array
---@field struct? pipehost.struct a nested one, or what an array consists of

---@class pipehost.struct.layout
---@field order "<" | ">"
---@field align integer
---@field size? integer with the padding at the end
---@field fixed integer bytes before a variable last field; without one, size
---@field format string for string.pack: padding, and all fields of fixed size
---@field fixed_count integer how many these are
---@field fields pipehost.struct.field[]
---@field names string[]
---@field index table<string, integer> the inverse of names
---@field codecs pipehost.struct.codec[]
---@field defaults table<integer, any>
---@field tail? pipehost.struct.codec of a variable last field
---@field at fun(i: integer): pipehost.struct.codec, string

local M = {}

-- The place is added where the script called pipehost.struct.
local function refuse(message, ...)
  error(message:format(...), 0)
end

-- One declaration ---------------------------------------------------------------

local option_names = { "count", "equals", "enum", "flags", "rest", "default" }

local function options_of(declared)
  local options = {}
  for key, value in pairs(declared) do
    if key ~= 1 and key ~= 2 then
      options[key] = value
    end
  end
  local ok, message = pcall(core.check_options, options, option_names, "")
  if not ok then
    refuse("%s", message)
  elseif options.enum and options.flags then
    refuse "enum and flags exclude each other"
  elseif options.rest and not options.enum and not options.flags then
    refuse "rest belongs to enum or flags"
  elseif options.equals ~= nil and options.default ~= nil then
    refuse "a constant takes no default"
  end
  return options
end

local function dress(base, order, options)
  if options.enum then
    base = derived.enum(base, order, options.enum, options.rest)
  elseif options.flags then
    base = derived.flags(base, order, options.flags, options.rest)
  end
  if not base.size and (options.count or options.equals ~= nil) then
    refuse("'%s' has no fixed size, so no count and no equals", base.code)
  end
  if options.count then
    base = derived.array(base, order, options.count)
  end
  if options.equals ~= nil then
    base = derived.constant(base, order, options.equals)
  end
  return base
end

local function check_default(of_field, order, default)
  if default == nil then
    return
  end
  local to_bytes = of_field.size and codec.to_bytes or codec.tail_bytes
  local bytes, failure = to_bytes(of_field, order, default)
  if not bytes then
    refuse("default%s", failures.why(failure))
  end
end

local function declare(declared, order, most, may_vary)
  local kind = declared[2]
  local options = options_of(declared)
  local base = codec.of(kind, order, most)
  if not base then
    refuse("'%s' is no code of one value, no char[n], no wchar[n] and no struct", tostring(kind))
  elseif not base.size and not may_vary then
    refuse("'%s' is no code of fixed size; only the last field after others may be so", kind)
  end
  base = dress(base, order, options)
  check_default(base, order, options.default)
  return base, options
end

local function check_name(declared, layout, i)
  local name = type(declared) == "table" and declared[1]
  if type(name) ~= "string" or declared[2] == nil then
    refuse("field %d needs a name and a code, as { \"size\", \"I4\" }", i)
  elseif layout.index[name] then
    refuse("two fields are named '%s'", name)
  end
  return name
end

-- All of them ---------------------------------------------------------------------

local alignments = { [""] = 8, ["1"] = 1, ["2"] = 2, ["4"] = 4, ["8"] = 8, ["16"] = 16 }

-- Byte order and largest alignment, as string.pack reads them.
local function parse_prefix(prefix)
  local native = string.pack("=I2", 1) == "\1\0" and "<" or ">"
  local order, most, rest = native, 1, prefix:gsub(" ", "")
  while rest ~= "" do
    local sign, number, after = rest:match("^([<>=!])(%d*)(.*)$")
    if sign == "!" and alignments[number] then
      most = alignments[number]
    elseif sign and sign ~= "!" and number == "" then
      order = sign == "=" and native or sign
    else
      refuse("prefix '%s': it is < > or =, then ! and the largest alignment (1 2 4 8 16) if any", prefix)
    end
    rest = after
  end
  return order, most
end

local function pad(layout, align)
  local missing = -layout.fixed % align
  layout.fixed = layout.fixed + missing
  layout.format = layout.format .. ("x"):rep(missing)
end

-- Puts a field after those before it.
local function place(layout, declared, of_field, default)
  local i, name, kind = #layout.names + 1, declared[1], declared[2]
  layout.align = math.max(layout.align, of_field.align)
  pad(layout, of_field.align)
  layout.fields[i] = {
    name = name, code = type(kind) == "string" and kind or "struct",
    offset = layout.fixed, size = of_field.size,
    count = of_field.count, struct = (of_field.element or of_field).struct,
  }
  layout.names[i], layout.index[name] = name, i
  layout.codecs[i], layout.defaults[i] = of_field, default
  if of_field.size then
    layout.fixed_count, layout.fixed = i, layout.fixed + of_field.size
    layout.format = layout.format .. of_field.code
  else
    layout.tail = of_field
  end
end

local function new_layout(order)
  local layout = {
    order = order, align = 1, fixed = 0, format = order, fixed_count = 0,
    fields = {}, names = {}, index = {}, codecs = {}, defaults = {},
  }
  function layout.at(i)
    return layout.codecs[i], "." .. layout.names[i]
  end
  return layout
end

---Lays out the fields; raises a message without a place when one is wrong.
---@param prefix string
---@param declared table[]
---@return pipehost.struct.layout
function M.of(prefix, declared)
  local order, most = parse_prefix(prefix)
  local layout = new_layout(order)
  for i, declaration in ipairs(declared) do
    local name = check_name(declaration, layout, i)
    local ok, of_field, options = pcall(declare, declaration, order, most, i > 1 and i == #declared)
    if not ok then
      refuse("field '%s': %s", name, of_field)
    end
    place(layout, declaration, of_field, options.default)
  end
  if not layout.tail then
    pad(layout, layout.align)
    layout.size = layout.fixed
  end
  return layout
end

return M
