-- SPDX-License-Identifier: MIT
-- Takes secrets out of what is recorded: bytes of text become '*', numbers 0. The
-- size stays, so that the messages stay what they are for their readers.
local fields = require "pipehost.record.fields"

local M = {}

local STAR = "*"

-- Text: what is not zero becomes a star, so that its length still shows.
local function stars(bytes)
  return (bytes:gsub("[^%z]", STAR))
end

local function wide_stars(bytes)
  return (bytes:gsub("..", function(unit)
    return unit == "\0\0" and unit or STAR .. "\0"
  end))
end

-- The length before the text stays.
local function counted_stars(code)
  local size = string.packsize(code == "s" and "T" or "I" .. code:sub(2))
  return function(bytes)
    return bytes:sub(1, size) .. stars(bytes:sub(size + 1))
  end
end

local function hider(code)
  if code:find "^wchar" then
    return wide_stars
  elseif code:find "^s%d*$" then
    return counted_stars(code)
  elseif code:find "^c" or code == "z" or code == "bytes" then
    return stars
  end
  return function(bytes)
    return ("\0"):rep(#bytes)
  end
end

---The bytes with the fields hidden.
---@param struct pipehost.struct
---@param bytes string
---@param names string[]
---@return string
function M.hide(struct, bytes, names)
  local parts, at = {}, 0
  for _, place in ipairs(fields.places(struct, #bytes)) do
    if fields.is_one_of(place, names) then
      parts[#parts + 1] = bytes:sub(at + 1, place.offset)
      parts[#parts + 1] = hider(place.code)(bytes:sub(place.offset + 1, place.offset + place.size))
      at = place.offset + place.size
    end
  end
  return table.concat(parts) .. bytes:sub(at + 1)
end

return M
