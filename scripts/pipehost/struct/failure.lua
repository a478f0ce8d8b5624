-- SPDX-License-Identifier: MIT
-- What pipehost.struct could not pack or unpack. Failures are returned, not
-- raised: the path and the offset grow on the way out, through `within`.
local show = require "pipehost.show"

---@class pipehost.struct.failure
---@field path string from where it is seen, as ".header.ids[2]"
---@field text? string to pack: what goes after the path
---@field what? string to pack: "unknown field"
---@field offset integer to unpack: from where it is seen
---@field expected any
---@field got any
---@field described? boolean expected is no value but says what one would be

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
  local expected = failure.described and failure.expected or show.value(failure.expected)
  return ("expected %s, got %s"):format(expected, show.value(failure.got))
end

return M
