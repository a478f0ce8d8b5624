-- SPDX-License-Identifier: MIT
-- Cuts the bytes of a recorded byte pipe into its messages, headers and line ends
-- included: what the option `frame` of a pipe says, for bytes that are at hand.
local is_struct = require("pipehost.handshake.matcher").is_struct
local pipe_frame = require "pipehost.frame"

---@class pipehost.record.frame
---@field option any for pipe.open, with the headers kept
---@field lines boolean
---@field next fun(bytes: string, from: integer): integer? the end of the message that begins at `from`

local M = {}

local function line_end(bytes, from)
  return (bytes:find("\n", from, true))
end

-- The length in a header that ends at `from + size - 1`.
local function header_end(struct, field, includes_header)
  return function(bytes, from)
    local header = bytes:sub(from, from + struct.size - 1)
    if #header < struct.size then
      return nil
    end
    local values = struct:unpack(header)
    local length = values and values[field]
    if not length or length < 0 then
      return nil
    end
    local last = from + length - 1 + (includes_header and 0 or struct.size)
    return last >= from + struct.size - 1 and last <= #bytes and last or nil
  end
end

---@param value any the option
---@return pipehost.record.frame?
---@return string? message
function M.of(value)
  local made, why = pipe_frame.of(value)
  if not made then
    return nil, why
  elseif value == "lines" then
    return { option = value, lines = true, next = line_end }
  end
  local struct, options = value, {}
  if not is_struct(value) then
    struct = value[1]
    for key, option in pairs(value) do
      options[key] = option
    end
  end
  return {
    option = { struct, field = options.field, includes_header = options.includes_header, keep_header = true },
    lines = false, next = header_end(struct, options.field or "length", options.includes_header),
  }
end

---The messages in the bytes, and what is left at the end.
---@param frame pipehost.record.frame
---@param bytes string
---@return string[]
---@return string rest
function M.cut(frame, bytes)
  local list, from = {}, 1
  while from <= #bytes do
    local last = frame.next(bytes, from)
    if not last then
      break
    end
    list[#list + 1] = bytes:sub(from, last)
    from = last + 1
  end
  return list, bytes:sub(from)
end

return M
