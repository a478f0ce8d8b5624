-- SPDX-License-Identifier: MIT
-- Text of a fixed width in a pipehost.struct: char[n] and wchar[n].
local show = require "pipehost.show"
local failures = require "pipehost.struct.failure"

local fail, unexpected, within = failures.fail, failures.unexpected, failures.within

local M = {}

local function no_text(value)
  if type(value) ~= "string" then
    return ": text expected, got " .. type(value)
  elseif value:find("\0", 1, true) then
    return ": the text has a NUL in it, where its reader would cut it"
  end
end

---@param width integer
---@return pipehost.struct.codec
function M.char(width)
  return {
    size = width, align = 1, code = "c" .. width,
    encode = function(value)
      local why = no_text(value)
      if why then
        return fail(why)
      elseif #value > width then
        return fail((": %s has %d bytes, but char[%d] holds %d"):format(show.value(value), #value, width, width))
      end
      return value
    end,
    decode = function(raw)
      return raw:match("^[^\0]*")
    end,
  }
end

local function to_utf16(text)
  local units = {}
  for _, code in utf8.codes(text) do
    if code < 0x10000 then
      units[#units + 1] = code
    else
      units[#units + 1] = 0xd800 + ((code - 0x10000) >> 10)
      units[#units + 1] = 0xdc00 + ((code - 0x10000) & 0x3ff)
    end
  end
  return units
end

-- The code point that begins at units[i], and how many units it takes.
local function code_point(units, i)
  local high, low = units[i], units[i + 1]
  if high & 0xf800 ~= 0xd800 then
    return high, 1
  elseif high < 0xdc00 and low and low & 0xfc00 == 0xdc00 then
    return 0x10000 + ((high & 0x3ff) << 10 | low & 0x3ff), 2
  end
end

local function from_utf16(units)
  local text, i = {}, 1
  while i <= #units and units[i] ~= 0 do
    local code, length = code_point(units, i)
    if not code then
      local _, failure = unexpected("a surrogate and its other half", units[i], true)
      return within(failure, "", 2 * (i - 1))
    end
    text[#text + 1] = utf8.char(code)
    i = i + length
  end
  return table.concat(text)
end

---@param width integer
---@param most integer the largest alignment
---@return pipehost.struct.codec
function M.wchar(width, most)
  local format = "<" .. ("H"):rep(width)
  return {
    size = 2 * width, align = math.min(2, most), code = "c" .. 2 * width,
    encode = function(value)
      local why = no_text(value)
      if why then
        return fail(why)
      end
      local length, at = utf8.len(value)
      if not length then
        return fail((": no UTF-8 at byte %d of %s"):format(at, show.value(value)))
      end
      local units = to_utf16(value)
      if #units > width then
        return fail((": %s has %d units of UTF-16, but wchar[%d] holds %d"):format(
          show.value(value), #units, width, width))
      end
      return string.pack("<" .. ("H"):rep(#units), table.unpack(units))
    end,
    decode = function(raw)
      local units = { string.unpack(format, raw) }
      units[width + 1] = nil -- the position after them
      return from_utf16(units)
    end,
  }
end

return M
