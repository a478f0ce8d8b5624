-- SPDX-License-Identifier: MIT
-- A recording as rows for people: what each event is called, and what its bytes
-- mean where the protocol is known.
local hex = require "pipehost.hex"
local show = require "pipehost.show"

local LABEL_BYTES = 12 -- in hex, of a message without a struct
local ROW = 16
local GAP_MS = 250

---@class pipehost.record.row
---@field event pipehost.record.event
---@field label string one line
---@field from? "client" | "server" who acts; nil where that is not known
---@field gap? number ms since the row before, where that was long
---@field struct? pipehost.struct
---@field size? string "4 bytes"

local M = {}

local function values_text(struct, values)
  local parts = {}
  for _, field in ipairs(struct.fields) do
    local value = values[field.name]
    local text
    if field.struct and not field.count then
      text = "{ " .. values_text(field.struct, value) .. " }"
    elseif math.type(value) == "integer" then
      text = tostring(value)
    else
      text = show.value(value)
    end
    parts[#parts + 1] = ("%s = %s"):format(field.name, text)
  end
  return table.concat(parts, ", ")
end

local function plain_label(bytes)
  if bytes == "" then
    return "(empty)"
  end
  local text = bytes:gsub("[\r\n]+$", "")
  if text ~= "" and utf8.len(text) and not text:find "[%c\x7f]" then
    return '"' .. text .. '"'
  end
  return hex.digits(bytes:sub(1, LABEL_BYTES)) .. (#bytes > LABEL_BYTES and " …" or "")
end

local function message_row(row, event, protocol)
  local struct, values
  if protocol then
    struct, values = protocol:decode(event.kind, event.bytes)
  end
  row.struct = struct
  row.label = struct and ("%s: %s"):format(struct.name or "struct", values_text(struct, values))
    or plain_label(event.bytes)
  row.size = ("%d byte%s"):format(#event.bytes, #event.bytes == 1 and "" or "s")
end

---@param recording pipehost.record.recording
---@param protocol? pipehost.record.protocol
---@return pipehost.record.row[]
function M.rows(recording, protocol)
  local rows, last = {}, nil
  for i, event in ipairs(recording.events) do
    local row = { event = event, label = event.kind, from = event.by }
    if event.bytes then
      row.from = event.kind == ">" and "client" or "server"
      message_row(row, event, protocol)
    elseif event.kind == "open" then
      row.from = "client"
    end
    row.gap = last and event.ms - last >= GAP_MS and event.ms - last or nil
    last, rows[i] = event.ms, row
  end
  return rows
end

---@param ms number
---@return string
function M.time(ms)
  return ms < 10000 and ("%.1f ms"):format(ms) or ("%.2f s"):format(ms / 1000)
end

---Cut to so many characters.
---@return string
function M.cut(text, most)
  local length = utf8.len(text) or #text
  if length <= most then
    return text
  end
  local stop = utf8.offset(text, most) or most
  return text:sub(1, stop - 1) .. "…"
end

---All bytes: a line for 16, with their offset; at most so many lines.
---@param bytes string
---@param most? integer
---@return string
function M.dump(bytes, most)
  local lines = {}
  for from = 0, math.max(#bytes - 1, 0), ROW do
    if #lines == most then
      lines[#lines + 1] = ("(%d bytes more)"):format(#bytes - from)
      break
    end
    local part = bytes:sub(from + 1, from + ROW)
    lines[#lines + 1] = ("%5d  %-" .. 3 * ROW - 1 .. "s  |%s|"):format(from, hex.digits(part), hex.text(part))
  end
  return table.concat(lines, "\n")
end

---What the recording is of, in a line.
---@return string
function M.summary(recording)
  local header = recording.header
  local connections, messages, last = 0, 0, recording.events[#recording.events]
  for _, event in ipairs(recording.events) do
    connections = connections + (event.kind == "open" and 1 or 0)
    messages = messages + (event.bytes and 1 or 0)
  end
  local what = header.mode == "message" and "message" or "chunk"
  return ("%s mode%s · %d connection%s · %d %s%s · %s"):format(header.mode,
    header.system and ", recorded on " .. header.system or "", connections, connections == 1 and "" or "s", messages,
    what, messages == 1 and "" or "s", M.time(last and last.ms or 0))
end

return M
