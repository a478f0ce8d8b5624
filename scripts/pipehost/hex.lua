-- SPDX-License-Identifier: MIT
-- Bytes for people: hex and text side by side.
local M = {}

---One line: `01 00 00 00  |....|`, at most `most` bytes (16).
---@param bytes string
---@param most? integer
---@return string
function M.line(bytes, most)
  most = most or 16
  local shown = bytes:sub(1, most)
  local hex = shown:gsub(".", function(c)
    return ("%02x "):format(c:byte())
  end)
  local text = shown:gsub("[^\x20-\x7e]", ".")
  local rest = #bytes > most and (" … %d bytes in all"):format(#bytes) or ""
  if bytes == "" then
    return "(empty)"
  end
  return ("%s |%s|%s"):format(hex, text, rest)
end

return M
