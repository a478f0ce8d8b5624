---@meta pipehost.hex
-- SPDX-License-Identifier: MIT

---@class pipehost.hex
local hex = {}

---One line: 01 00 00 00 |....|
---@param bytes string
---@param most? integer bytes shown, 16
---@return string
function hex.line(bytes, most) end

---Both in hex and text, the first difference marked.
---@param expected string
---@param got string
---@return string lines
function hex.side_by_side(expected, got) end

return hex
