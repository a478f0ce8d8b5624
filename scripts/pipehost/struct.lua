-- SPDX-License-Identifier: MIT
-- pipehost.struct: layouts of fields, over the codes of string.pack.
--
--   local Header = pipehost.struct("<!8", { name = "header",
--     { "magic", "I4", equals = 0x1234 },
--     { "kind", "I2", enum = { ask = 1, done = 2 } },
--     { "mode", "I2", flags = { read = 1, write = 2 }, default = {} },
--     { "user", "char[8]" },
--   })
--   local Message = pipehost.struct("<!8", { name = "message",
--     { "header", Header },
--     { "ids", "I4", count = 4 },
--     { "text", "bytes" },
--   })
--
-- The prefix has the byte order, and "!8" to align as C does: each field at a
-- multiple of its own alignment (8 at most), the size a multiple of the largest.
-- Without "!" nothing is padded, as with #pragma pack(1). A nested struct keeps
-- the order and the inner layout of its own prefix. The codes l, L and T have
-- the size that this system's C gives them: long has 4 bytes on Windows.
--
-- Types: the codes b B h H i[n] I[n] l L j J T f d n c[n]; another struct; and
--   char[n]   text in n bytes, zeros after it; unpack does not look at what is
--             after the first zero. Text of n bytes fills it without a zero;
--             longer text, and text with a zero in it, is refused.
--   wchar[n]  the same in n units of UTF-16LE, whatever the prefix; UTF-8 in
--             Lua. A surrogate without its other half is "protocol".
-- and as the last of several fields, which makes size nil and ends unpadded:
--   s[n]      text after its length;  z  text before a zero;  bytes  the rest.
--
-- Options of a field:
--   count     an array of so many
--   equals    a constant, also of an array or struct: need not be given to pack,
--             and other bytes are "protocol"
--   enum      names that take the numbers' place; other numbers are "protocol"
--   flags     names of bits: the value is a table, name -> true; other bits are
--             "protocol"
--   rest      true: numbers without a name stay numbers; bits without a name
--             come and go as the number `rest` in the table
--   default   packed when the value is missing
local core = require "pipehost.core"
local misuse = require "pipehost.misuse"
local show = require "pipehost.show"
local codec = require "pipehost.struct.codec"
local dump = require "pipehost.struct.dump"
local fast = require "pipehost.struct.fast"
local failures = require "pipehost.struct.failure"
local layouts = require "pipehost.struct.layout"

local fail, within = failures.fail, failures.within

---@class pipehost.struct
---@field name? string
---@field prefix string
---@field size? integer bytes, as C's sizeof; nil when the last field is variable
---@field align integer
---@field fields pipehost.struct.field[]
---@field package layout pipehost.struct.layout
---@field package codec pipehost.struct.codec as a field of another struct
local Struct = {}
Struct.__index = Struct

-- Only for what a struct has not; these two may be nil.
local unknown = core.index(Struct, "a struct")
setmetatable(Struct, {
  __index = function(self, key)
    if key ~= "name" and key ~= "size" then
      return unknown(self, key)
    end
  end,
})

-- Packing -----------------------------------------------------------------------

local function check_names(layout, values)
  if type(values) ~= "table" then
    return fail((": a table of its fields expected, got %s"):format(show.value(values)))
  end
  for name in pairs(values) do
    if not layout.index[name] then
      local _, failure = fail(show.near(name, layout.names), "." .. tostring(name))
      failure.what = "unknown field"
      return nil, failure
    end
  end
  return true
end

-- What string.pack takes for the fields.
local function raw_values(layout, values)
  local list, codecs, defaults = {}, layout.codecs, layout.defaults
  for i, name in ipairs(layout.names) do
    local of_field, value = codecs[i], values[name]
    if value == nil then
      value = defaults[i]
    end
    if value == nil and not of_field.constant then
      return fail(" is missing", "." .. name)
    end
    if of_field.encode then
      local failure
      value, failure = of_field.encode(value)
      if value == nil then
        return within(failure, "." .. name, 0)
      end
    end
    list[i] = value
  end
  return list
end

local function with_tail(layout, bytes, value)
  local tail, failure = codec.tail_bytes(layout.tail, layout.order, value)
  if not tail then
    return within(failure, "." .. layout.names[#layout.names], 0)
  end
  return bytes .. tail
end

local function encode(layout, values)
  local list, failure = check_names(layout, values)
  if list then
    list, failure = raw_values(layout, values)
  end
  if not list then
    return nil, failure
  end
  local bytes
  bytes, failure = codec.pack(layout.format, list, layout.fixed_count, layout.at)
  if bytes and layout.tail then
    return with_tail(layout, bytes, list[#list])
  end
  return bytes, failure
end

---For the library: as pack, but gives nil and the sentence, without a place, instead
---of raising.
---@param values table<string, any>
---@return string?
---@return string? message
function Struct:try_pack(values)
  if type(values) ~= "table" then
    return nil, ("%s: pack takes a table of its fields"):format(self)
  end
  local bytes = self.layout.fast_pack and self.layout.fast_pack(values)
  if bytes then
    return bytes
  end
  local failure
  bytes, failure = encode(self.layout, values)
  if not bytes then
    local path = failure.path:gsub("^%.", "")
    return nil, ("%s: %s '%s'%s"):format(self, failure.what or "field", path, failure.text)
  end
  return bytes
end

---Packs a table of the fields' values; raises when one is missing, unknown or
---does not fit, with its path.
---@param values table<string, any>
---@return string
function Struct:pack(values)
  local bytes, message = self:try_pack(values)
  if not bytes then
    misuse(message)
  end
  return bytes
end

-- Unpacking -----------------------------------------------------------------------

local function decode_tail(layout, bytes, values)
  local field = layout.fields[#layout.fields]
  local value = bytes:sub(layout.fixed + 1)
  if layout.tail.decode then
    local failure
    value, failure = layout.tail.decode(value)
    if value == nil then
      return within(failure, "." .. field.name, field.offset)
    end
  end
  values[field.name] = value
  return values
end

-- Of at least layout.fixed bytes.
local function decode(layout, bytes)
  local list, values = { string.unpack(layout.format, bytes) }, {}
  local codecs, names = layout.codecs, layout.names
  for i = 1, layout.fixed_count do
    local value, decode_field = list[i], codecs[i].decode
    if decode_field then
      local failure
      value, failure = decode_field(value)
      if value == nil then
        return within(failure, "." .. names[i], layout.fields[i].offset)
      end
    end
    values[names[i]] = value
  end
  if layout.tail then
    return decode_tail(layout, bytes, values)
  end
  return values
end

local function protocol(struct, message, details)
  local nothing, code, info = core.failure("protocol", "unpack", nil, tostring(struct) .. message)
  info.struct = tostring(struct)
  for key, value in pairs(details) do
    info[key] = value
  end
  return nothing, code, info
end

local function wrong_size(struct, bytes)
  local layout = struct.layout
  local message = (" has %s%d bytes, but %d came"):format(layout.tail and "at least " or "", layout.fixed, #bytes)
  return protocol(struct, message, { expected = layout.fixed, got = #bytes })
end

local function wrong_field(struct, failure)
  local path = failure.path:gsub("^%.", "")
  local message = (": field '%s' at offset %d: %s"):format(path, failure.offset, failures.difference(failure))
  return protocol(struct, message, {
    field = path, offset = failure.offset, expected = failure.expected, got = failure.got,
  })
end

---Unpacks exactly `size` bytes. When they are not what was declared, info has
---`expected` and `got`, and of a field its path as `field` and its `offset`;
---without these two, expected and got are sizes.
---@param bytes string
---@return table<string, any>? values
---@return string? code "protocol"
---@return table? info
function Struct:unpack(bytes)
  if type(bytes) ~= "string" then
    misuse("%s: unpack takes a string, this is a %s", self, type(bytes))
  end
  local layout = self.layout
  if #bytes ~= layout.size and (layout.size or #bytes < layout.fixed) then
    return wrong_size(self, bytes)
  elseif layout.fast_unpack then
    return layout.fast_unpack(bytes)
  end
  local values, failure = decode(layout, bytes)
  if values == nil then
    return wrong_field(self, failure)
  end
  return values
end

---Each field with its offset, bytes and value, a line each, inner ones indented.
---The bytes may be too few, too many or wrong.
---@param bytes string
---@return string
function Struct:dump(bytes)
  if type(bytes) ~= "string" then
    misuse("%s: dump takes a string, this is a %s", self, type(bytes))
  end
  return dump(self.layout, bytes)
end

function Struct:__tostring()
  return "struct" .. (self.name and " " .. self.name or "")
end

-- Declaring -----------------------------------------------------------------------

local function codec_of(struct)
  local layout = struct.layout
  return {
    size = layout.size, align = layout.align, code = "c" .. layout.fixed, struct = struct,
    encode = function(values)
      return encode(layout, values)
    end,
    decode = function(bytes)
      return decode(layout, bytes)
    end,
  }
end

---A layout: `struct("<", { { "iFage", "i4" } })`. The prefix says byte order and
---alignment as string.pack does; each field has a name, a type and options.
---@param prefix string
---@param fields { name?: string, [integer]: table }
---@return pipehost.struct
local function struct(prefix, fields)
  if type(prefix) ~= "string" or type(fields) ~= "table" then
    misuse "pipehost.struct(prefix, fields): a text such as \"<\" and a list of fields"
  end
  local ok, layout = pcall(layouts.of, prefix, fields)
  if not ok then
    misuse("pipehost.struct: " .. tostring(layout))
  end
  local self = setmetatable({
    name = fields.name, prefix = prefix, size = layout.size, align = layout.align,
    fields = layout.fields, layout = layout,
  }, Struct)
  self.codec = codec_of(self)
  fast.add(layout)
  return self
end

return struct
