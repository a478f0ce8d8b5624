-- SPDX-License-Identifier: MIT
-- The bytes of a pipehost.struct for people: each field's offset, bytes and
-- value. Nothing is taken for granted about the bytes.
local show = require "pipehost.show"
local codec = require "pipehost.struct.codec"
local failures = require "pipehost.struct.failure"

local ROW = 8
local MOST_ROWS = 4
local MOST_ELEMENTS = 64

-- Rows of 8 bytes; the text stands beside the first one.
local function add(out, offset, part, text)
  for row = 0, math.max(0, (#part - 1) // ROW) do
    local bytes = part:sub(row * ROW + 1, (row + 1) * ROW)
    local beside = row == 0 and text or ""
    if row == MOST_ROWS - 1 and #part > MOST_ROWS * ROW then
      beside = ("(%d bytes more)"):format(#part - MOST_ROWS * ROW)
    end
    local hex = bytes:gsub(".", function(c)
      return ("%02x "):format(c:byte())
    end)
    out[#out + 1] = (("%4d  %-24s %s"):format(offset + row * ROW, hex, beside):gsub(" +$", ""))
    if row == MOST_ROWS - 1 then
      break
    end
  end
end

-- The bytes stand beside it, so numbers need no hex and text no quotes.
local function show_plain(value)
  if type(value) == "number" or show.is_line(value) and value ~= "" then
    return tostring(value)
  end
  return show.value(value)
end

local function value_text(of_field, order, part)
  if of_field.size and #part < of_field.size then
    return #part == 0 and "(missing)" or ("(%d of %d bytes)"):format(#part, of_field.size)
  end
  local value, failure = part
  if of_field.size then
    value, failure = codec.from_bytes(of_field, order, part)
  elseif of_field.decode then
    value, failure = of_field.decode(part)
  end
  if value == nil then
    return "(" .. failures.difference(failure) .. ")"
  end
  return show_plain(value)
end

local dump_field, dump_fields

local function dump_elements(out, of_field, order, offset, depth)
  local element, shown = of_field.element, math.min(of_field.count, MOST_ELEMENTS)
  for i = 1, shown do
    dump_field(out, element, order, offset + (i - 1) * element.size, ("[%d]"):format(i), depth)
  end
  if of_field.count > shown then
    out[#out + 1] = ("%31s%s(%d elements more)"):format("", ("  "):rep(depth), of_field.count - shown)
  end
end

-- A struct or an array: a line for itself, and those inside.
local function dump_inner(out, of_field, order, offset, label, depth)
  local wrong = ""
  local constant = of_field.constant
  if constant and out.bytes:sub(offset + 1, offset + of_field.size) ~= constant then
    wrong = "  (expected " .. show.value(constant) .. ")"
  end
  add(out, offset, "", ("  "):rep(depth) .. label .. ":" .. wrong)
  if of_field.struct then
    dump_fields(out, of_field.struct.layout, offset, depth + 1)
  else
    dump_elements(out, of_field, order, offset, depth + 1)
  end
end

function dump_field(out, of_field, order, offset, label, depth)
  if of_field.struct or of_field.element then
    return dump_inner(out, of_field, order, offset, label, depth)
  end
  local part = out.bytes:sub(offset + 1, of_field.size and offset + of_field.size)
  add(out, offset, part, ("%s%s = %s"):format(("  "):rep(depth), label, value_text(of_field, order, part)))
end

local function dump_padding(out, from, to, depth)
  local part = out.bytes:sub(from + 1, to)
  if #part > 0 then
    add(out, from, part, ("  "):rep(depth) .. "(padding)")
  end
end

function dump_fields(out, layout, base, depth)
  local last = 0
  for i, field in ipairs(layout.fields) do
    dump_padding(out, base + last, base + field.offset, depth)
    dump_field(out, layout.codecs[i], layout.order, base + field.offset, field.name, depth)
    last = field.offset + (field.size or 0)
  end
  if layout.size then
    dump_padding(out, base + last, base + layout.size, depth)
  end
end

---@param layout pipehost.struct.layout
---@param bytes string
---@return string
return function(layout, bytes)
  local out = { bytes = bytes }
  dump_fields(out, layout, 0, 0)
  if layout.size and #bytes > layout.size then
    add(out, layout.size, bytes:sub(layout.size + 1), ("(%d bytes too many)"):format(#bytes - layout.size))
  end
  return table.concat(out, "\n")
end
