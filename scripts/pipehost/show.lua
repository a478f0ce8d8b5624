-- SPDX-License-Identifier: MIT
-- Values as messages show them, and names that were nearly right.
local core = require "pipehost.core"
local hex = require "pipehost.hex"

local MOST_SHOWN = 64

local M = {}

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

---"1 message", "2 messages"
---@param count integer
---@param what string
---@return string
function M.count(count, what)
  return ("%d %s%s"):format(count, what, count == 1 and "" or "s")
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
      parts[#parts + 1] = ("%s = %s"):format(key, type(value) == "table" and "table" or M.value(value))
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

---@param value any
---@return string
function M.value(value)
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
