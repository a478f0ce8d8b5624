-- SPDX-License-Identifier: MIT
-- Is this what was recorded? Byte for byte, but for fields that are not looked at,
-- or not at all.
local fields = require "pipehost.record.fields"
local hex = require "pipehost.hex"

---@class pipehost.record.matching
---@field any? boolean whatever comes is right
---@field ignore? string[] fields that are not looked at
---@field protocol? pipehost.record.protocol

local M = {}

-- The bytes without what is not looked at: zeros in its place, or nothing where it
-- has no fixed size.
local function blank(struct, bytes, names)
  local parts, at = {}, 0
  for _, place in ipairs(fields.places(struct, #bytes)) do
    if fields.is_one_of(place, names) then
      parts[#parts + 1] = bytes:sub(at + 1, place.offset)
      parts[#parts + 1] = place.variable and "" or ("\0"):rep(place.size)
      at = place.offset + place.size
    end
  end
  return table.concat(parts) .. bytes:sub(at + 1)
end

---Lines for people when `got` is not what was recorded, nil when it is.
---@param matching pipehost.record.matching
---@param direction ">" | "<"
---@param expected string
---@param got string
---@return string?
function M.difference(matching, direction, expected, got)
  if matching.any or got == expected then
    return nil
  end
  local struct = matching.protocol and matching.protocol:decode(direction, got)
  local names = matching.ignore or {}
  if struct and #names > 0 and blank(struct, expected, names) == blank(struct, got, names) then
    return nil
  end
  local lines = hex.side_by_side(expected, got)
  if struct then
    lines = ("%s\n  got, as %s:\n%s"):format(lines, struct, struct:dump(got))
  end
  return lines
end

return M
