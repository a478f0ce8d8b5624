-- SPDX-License-Identifier: MIT
-- A recording as text: a line for each event, with an arrow.
local story = require "pipehost.record.story"

local WIDTH = 64 -- of an arrow

local M = {}

local function arrow(row)
  local text = story.cut(row.label, WIDTH - 24)
  local inner = (" %s "):format(text)
  local size = row.size and (" %s "):format(row.size) or ""
  local line = ("-"):rep(2) .. inner
  local rest = WIDTH - 1 - utf8.len(line) - #size - 2
  line = line .. ("-"):rep(math.max(rest, 1)) .. size .. "--"
  if row.from == "client" then
    return "|" .. line .. ">|"
  end
  return "|<" .. line .. "|"
end

local function bar(row)
  local who = row.from and ("the %s %ss"):format(row.from, row.label) or row.label
  local text = row.from == "client" and who .. (" "):rep(WIDTH - #who) or (" "):rep(WIDTH - #who) .. who
  return "|" .. text .. "|"
end

---@param recording pipehost.record.recording
---@param protocol? pipehost.record.protocol
---@return string
function M.text(recording, protocol)
  local lines = { ("%s · %s"):format(recording.header.pipe, story.summary(recording)), "" }
  lines[#lines + 1] = ("%12s %4s  client%" .. WIDTH - 4 .. "s"):format("ms", "#", "server")
  for _, row in ipairs(story.rows(recording, protocol)) do
    if row.gap then
      lines[#lines + 1] = ("%12s"):format("…")
    end
    local line = row.event.bytes and arrow(row) or bar(row)
    lines[#lines + 1] = ("%12.1f %4d  %s"):format(row.event.ms, row.event.conn, line)
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
