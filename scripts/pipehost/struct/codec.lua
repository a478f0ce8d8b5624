-- SPDX-License-Identifier: MIT
-- The types of pipehost.struct's fields. Each is turned once, when the struct is
-- declared, into a codec, which stands for one value of string.pack:
--
--   size, align     bytes; no size: only the last field may be so
--   code            its code for string.pack, without byte order
--   encode(value)   what is packed for a value; without it the value itself
--   decode(raw)     the value of what was unpacked; without it raw itself
--   struct          of a nested struct;  element, count  of an array
--
-- Nested structs and arrays pack themselves and are "cN" to what holds them: a
-- struct costs one string.pack, and one more for each such field. encode and
-- decode do not raise but return nil and a failure, so that the path and offset
-- are put together only when something is wrong.
local show = require "pipehost.show"
local failures = require "pipehost.struct.failure"
local text = require "pipehost.struct.text"

local fail, unexpected = failures.fail, failures.unexpected

---@class pipehost.struct.codec
---@field size? integer
---@field align integer
---@field code string
---@field encode? fun(value: any): any, table?
---@field decode? fun(raw: any): any, table?
---@field struct? pipehost.struct
---@field element? pipehost.struct.codec
---@field count? integer
---@field constant? string the only bytes that it may have
---@field integer? boolean of at most 8 bytes
---@field unsigned? boolean

local M = {}

-- string.pack and string.unpack hold all elements of an array on Lua's stack.
M.MOST_ELEMENTS = 65536

-- One value --------------------------------------------------------------------

---What string.pack had against the value, from its message.
---@return string
function M.reason(codec, value, message)
  local reason = message:gsub("^bad argument #%d+ to '[^']*' ", ""):gsub("^%((.*)%)$", "%1")
  if reason:find("overflow", 1, true) or reason:find("size", 1, true) then
    reason = ("%s does not fit %s (%s)"):format(show.value(value), codec.code, reason)
  end
  return reason
end

---The bytes of one value.
function M.to_bytes(codec, order, value)
  local raw = value
  if codec.encode then
    local failure
    raw, failure = codec.encode(value)
    if raw == nil then
      return nil, failure
    end
  end
  local ok, bytes = pcall(string.pack, order .. codec.code, raw)
  if not ok then
    return fail(": " .. M.reason(codec, raw, bytes))
  end
  return bytes
end

---The bytes of a list of raw values, whose codecs and places at(i) tells.
---@param format string
---@param list any[]
---@param count integer
---@param at fun(i: integer): pipehost.struct.codec, string
---@return string?
---@return table? failure
function M.pack(format, list, count, at)
  local ok, bytes = pcall(string.pack, format, table.unpack(list, 1, count))
  if ok then
    return bytes
  end
  for i = 1, count do
    local codec, step = at(i)
    local fits, message = pcall(string.pack, codec.code, list[i])
    if not fits then
      return fail(": " .. M.reason(codec, list[i], message), step)
    end
  end
  return fail(": " .. bytes)
end

---The value of these bytes, which are as many as the codec's size.
function M.from_bytes(codec, order, bytes)
  local raw = string.unpack(order .. codec.code, bytes)
  if codec.decode then
    return codec.decode(raw)
  end
  return raw
end

-- Types --------------------------------------------------------------------------

local function aligned(size, most)
  local align = math.min(size, most)
  if align & (align - 1) ~= 0 then
    error(("%d bytes cannot be aligned; take c%d, or a prefix without '!'"):format(size, size), 0)
  end
  return align
end

-- Beyond 8 bytes string.unpack raises when the number is none of Lua's.
local function wide_integer(code, size, align, order)
  local format = order .. code
  return {
    size = size, align = align, code = "c" .. size,
    encode = function(value)
      return M.to_bytes({ code = code }, order, value)
    end,
    decode = function(raw)
      local ok, value = pcall(string.unpack, format, raw)
      if not ok then
        return unexpected("an integer of 64 bits", raw, true)
      end
      return value
    end,
  }
end

local function plain(code, order, most)
  if code:match("^c%d+$") then
    local known, length = pcall(string.packsize, code)
    return known and { size = length, align = 1, code = code }
  elseif not code:match("^[bBhHlLjJTfdniI]$") and not code:match("^[iI]%d+$") then
    return nil
  end
  local ok, size = pcall(string.packsize, code)
  if not ok then
    return nil
  end
  local align = aligned(size, most)
  if size > 8 then
    return wide_integer(code, size, align, order)
  end
  return {
    size = size, align = align, code = code,
    integer = not code:match("^[fdn]"), unsigned = code:match("^%u") ~= nil,
  }
end

---A copy with changes.
---@param codec pipehost.struct.codec
---@param changes table
---@return pipehost.struct.codec
function M.derive(codec, changes)
  local copy = {}
  for key, value in pairs(codec) do
    copy[key] = value
  end
  for key, value in pairs(changes) do
    copy[key] = value
  end
  return copy
end

local function structure(struct, most)
  if not struct.size then
    error("a struct of variable size cannot be inside another", 0)
  end
  return M.derive(struct.codec, { align = math.min(struct.align, most) })
end

-- What may be only the last field ------------------------------------------------

local function counted(code, order, most)
  local size = string.packsize(code == "s" and "T" or "I" .. code:sub(2))
  local length_format = order .. "I" .. size
  return {
    align = aligned(size, most), code = code,
    decode = function(rest)
      if #rest < size then
        return unexpected(("a length of %d bytes"):format(size), #rest, true)
      end
      local ok, length = pcall(string.unpack, length_format, rest)
      if not ok or length ~= #rest - size then
        local fits = ok and length >= 0
        local expected = fits and ("%d bytes after its length"):format(length) or "a length that fits"
        return unexpected(expected, #rest - size, true)
      end
      return rest:sub(size + 1)
    end,
  }
end

local zero_ended = {
  align = 1, code = "z",
  decode = function(rest)
    local zero = rest:find("\0", 1, true)
    if zero ~= #rest or zero == nil then
      return unexpected("text with one NUL, at its end", rest, true)
    end
    return rest:sub(1, -2)
  end,
}

local function variable(kind, order, most)
  if kind == "z" then
    return zero_ended
  elseif kind == "bytes" then
    return { align = 1, code = "bytes" }
  elseif kind == "s" or kind:match("^s%d+$") and pcall(string.pack, kind, "") then
    return counted(kind, order, most)
  end
end

---The bytes of a field without size.
function M.tail_bytes(codec, order, value)
  if type(value) ~= "string" then
    return fail(": string expected, got " .. type(value))
  elseif codec.code == "bytes" then
    return value
  end
  return M.to_bytes(codec, order, value)
end

---The codec of a type, nil when it is none; raises when it cannot be used.
---@param kind string | pipehost.struct
---@param order "<" | ">"
---@param most integer the largest alignment
---@return pipehost.struct.codec?
function M.of(kind, order, most)
  if type(kind) == "table" and kind.codec then
    return structure(kind, most)
  elseif type(kind) ~= "string" then
    return nil
  end
  local wide, width = kind:match("^(w?)char%[(%d+)%]$")
  width = math.tointeger(tonumber(width))
  if width and (width < 1 or width > M.MOST_ELEMENTS) then
    error(("'%s': the width is 1 to %d"):format(kind, M.MOST_ELEMENTS), 0)
  elseif width then
    return wide == "w" and text.wchar(width, most) or text.char(width)
  end
  return plain(kind, order, most) or variable(kind, order, most)
end

return M
