-- SPDX-License-Identifier: MIT
-- The option `frame` of byte pipes and servers: how their bytes are cut into
-- messages. "lines", or a header with the length of what follows: a struct with
-- an integer field `length`, or { struct, field = "size", … }.
local codecs = require "pipehost.struct.codec"
local core = require "pipehost.core"

local M = {}

local MOST_HEADER = 4096
local option_names = { "field", "includes_header", "keep_header" }

---@class pipehost.frame_options
---@field [1] pipehost.struct of fixed size
---@field field? string the integer in it, "length" by default
---@field includes_header? boolean the length is that of header and body
---@field keep_header? boolean messages come and go with their headers

local function fail(message, ...)
  error("option 'frame': " .. message:format(...), 0)
end

local function is_struct(value)
  return type(value) == "table" and type(value.layout) == "table" and value.codec ~= nil
end

local function parts(value)
  if is_struct(value) then
    return value, {}
  elseif type(value) ~= "table" or not is_struct(value[1]) then
    fail "it is \"lines\", a pipehost.struct, or { struct, field = \"length\" }"
  end
  local options = {}
  for key, option in pairs(value) do
    if key ~= 1 then
      options[key] = option
    end
  end
  local ok, message = pcall(core.check_options, options, option_names, "option 'frame'")
  if not ok then
    error(message:sub(#core.place() + 1), 0) -- who asks adds the place
  end
  return value[1], options
end

local function find_length(struct, name)
  local layout = struct.layout
  local i = layout.index[name]
  local codec, field = layout.codecs[i], layout.fields[i]
  if not i then
    fail("%s has no field '%s' for the length", struct, name)
  elseif not codec.integer or codec.constant or codec.decode then
    fail("%s: field '%s' is to be a plain integer of at most 8 bytes", struct, name)
  end
  return field
end

-- Where the struct's constants are, in `bytes` and with ones in `mask`; what has
-- a default only in `bytes`.
local function fill(struct, at, bytes, mask)
  local layout = struct.layout
  for i, field in ipairs(layout.fields) do
    local codec, default = layout.codecs[i], layout.defaults[i]
    local from = at + field.offset
    if codec.constant then
      bytes[from], mask[from] = codec.constant, ("\xff"):rep(field.size)
    elseif default ~= nil then
      bytes[from] = codecs.to_bytes(codec, layout.order, default)
    elseif field.struct and not field.count then
      fill(field.struct, from, bytes, mask)
    end
  end
end

-- Pieces at their offsets, zeros elsewhere.
local function assemble(pieces, size)
  local text = ("\0"):rep(size)
  for at, piece in pairs(pieces) do
    text = text:sub(1, at) .. piece .. text:sub(at + #piece + 1)
  end
  return text
end

local function header(value)
  local struct, options = parts(value)
  local size = struct.size
  if not size or size > MOST_HEADER then
    fail("%s is to have a fixed size, at most %d bytes", struct, MOST_HEADER)
  end
  local field = find_length(struct, options.field or "length")
  local bytes, mask = {}, {}
  fill(struct, 0, bytes, mask)
  return core.frame {
    size = size, offset = field.offset, width = field.size, big_endian = struct.layout.order == ">",
    counts_header = options.includes_header, keep = options.keep_header,
    bytes = assemble(bytes, size), mask = assemble(mask, size),
  }
end

---@param value "lines" | pipehost.struct | pipehost.frame_options
---@return userdata? frame
---@return string? message why it is none
function M.of(value)
  if value == "lines" then
    return core.frame()
  end
  local ok, result = pcall(header, value)
  if not ok then
    return nil, result
  end
  return result
end

core.set_framer(M.of)

return M
