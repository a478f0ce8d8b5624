-- SPDX-License-Identifier: MIT
-- What pipehost.struct could not pack or unpack. Failures are returned, not
-- raised: the path and the offset grow on the way out, through `within`.
local core = require "pipehost.core"
local hex = require "pipehost.hex"

---@class pipehost.struct.failure
---@field path string from where it is seen, as ".header.ids[2]"
---@field text? string to pack: what goes after the path
---@field what? string to pack: "unknown field"
---@field offset integer to unpack: from where it is seen
---@field expected any
---@field got any
---@field described? boolean expected is no value but says what one would be

local MOST_SHOWN = 64

local M = {}

---A failure to pack; text goes after the field's path.
function M.fail(text, path)
  return nil, { path = path or "", offset = 0, text = text }
end

---A failure to unpack. What was expected is a value, or a description.
function M.unexpected(expected, got, described)
  return nil, { path = "", offset = 0, expected = expected, got = got, described = described }
end

---The failure of something inside, as what holds it sees it.
function M.within(failure, step, offset)
  failure.path = step .. failure.path
  failure.offset = failure.offset + offset
  return nil, failure
end

---What failed to pack, with the path inside.
---@return string
function M.why(failure)
  return failure.path .. failure.text
end

---"expected …, got …" of what failed to unpack.
---@return string
function M.difference(failure)
  local expected = failure.described and failure.expected or M.show(failure.expected)
  return ("expected %s, got %s"):format(expected, M.show(failure.got))
end

---" (did you mean 'x'?)", or nothing.
---@param name any
---@param names string[]
---@return string
function M.near(name, names)
  if type(name) ~= "string" then
    return ""
  end
  local _, message = pcall(core.check_options, { [name] = true }, names, "")
  return tostring(message):match(" %(did you mean .*%)$") or ""
end

-- One level, and not too much of it: it may be anything that a script has given.
local function show_table(values)
  local parts = {}
  for key, value in pairs(values) do
    if #parts == MOST_SHOWN then
      parts[#parts + 1] = "…"
      break
    elseif value == true then
      parts[#parts + 1] = tostring(key)
    else
      parts[#parts + 1] = ("%s = %s"):format(key, type(value) == "table" and "table" or M.show(value))
    end
  end
  table.sort(parts)
  return #parts > 0 and "{ " .. table.concat(parts, ", ") .. " }" or "{}"
end

---Text that can stand in a line.
---@return boolean
function M.is_line(value)
  return type(value) == "string" and #value <= MOST_SHOWN and utf8.len(value) and not value:find("%c") or false
end

---A value as messages show it.
---@param value any
---@return string
function M.show(value)
  if math.type(value) == "integer" and value > 9 then
    return ("%d (0x%x)"):format(value, value)
  elseif M.is_line(value) then
    return '"' .. value .. '"'
  elseif type(value) == "string" then
    return hex.line(value)
  elseif type(value) == "table" then
    return show_table(value)
  end
  return tostring(value)
end

return M
