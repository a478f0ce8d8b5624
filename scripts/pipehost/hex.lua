-- SPDX-License-Identifier: MIT
-- Bytes for people: hex and text side by side.
local M = {}

local LINE = 16 -- bytes shown of a message in one line
local ROW = 8 -- bytes of each side in a comparison
local MOST_ROWS = 8 -- of a comparison

---The bytes in hex, a space between them.
---@param bytes string
---@return string
function M.digits(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x "):format(c:byte())
  end):gsub(" $", ""))
end

---The bytes as text, a dot for each that is no character of ASCII.
---@param bytes string
---@return string
function M.text(bytes)
  return (bytes:gsub("[^\x20-\x7e]", "."))
end

---One line: `01 00 00 00  |....|`, at most `most` bytes (16).
---@param bytes string
---@param most? integer
---@return string
function M.line(bytes, most)
  most = most or LINE
  if bytes == "" then
    return "(empty)"
  end
  local shown = bytes:sub(1, most)
  local rest = #bytes > most and (" … %d bytes in all"):format(#bytes) or ""
  return ("%s  |%s|%s"):format(M.digits(shown), M.text(shown), rest)
end

-- Equal bytes are passed over in blocks: messages may have megabytes.
local BLOCK = 4096

---The offset of the first byte that differs, nil when none does.
---@param a string
---@param b string
---@return integer?
function M.difference(a, b)
  if a == b then
    return nil
  end
  local at = 1
  while a:sub(at, at + BLOCK - 1) == b:sub(at, at + BLOCK - 1) do
    at = at + BLOCK
  end
  while a:byte(at) == b:byte(at) do
    at = at + 1
  end
  return at - 1
end

-- A row of one side, padded to its width.
local function cell(bytes, offset)
  local part = bytes:sub(offset + 1, offset + ROW)
  if part == "" then
    return (" "):rep(3 * ROW + ROW + 2)
  end
  return ("%-" .. 3 * ROW - 1 .. "s %-" .. ROW + 2 .. "s"):format(M.digits(part), "|" .. M.text(part) .. "|")
end

---What was expected and what came, side by side, around the first difference,
---which is marked.
---@param expected string
---@param got string
---@return string lines, empty when nothing differs
function M.side_by_side(expected, got)
  local at = M.difference(expected, got)
  if not at then
    return ""
  end
  local length, wide = math.max(#expected, #got), 3 * ROW + ROW + 2
  local first = math.max(at // ROW - 1, 0)
  local last = math.min(first + MOST_ROWS - 1, (length - 1) // ROW)
  local lines = { ("%8s  %-" .. wide .. "s  %s"):format("", "expected", "got") }
  if first > 0 then
    lines[2] = ("%8s  (%d equal bytes before)"):format("", first * ROW)
  end
  for row = first, last do
    lines[#lines + 1] = ("%8d  %s  %s"):format(row * ROW, cell(expected, row * ROW), cell(got, row * ROW))
    if row == at // ROW then
      local mark = (" "):rep(at % ROW * 3) .. "^^"
      lines[#lines + 1] = ("%8s  %-" .. wide .. "s  %s  first difference, offset %d"):format("", mark, mark, at)
    end
  end
  if (last + 1) * ROW < length then
    lines[#lines + 1] = ("%8s  (%d bytes more)"):format("", length - (last + 1) * ROW)
  end
  return (table.concat(lines, "\n"):gsub(" +\n", "\n"))
end

return M
