-- SPDX-License-Identifier: MIT
-- What was said in one conversation, as one of its ends saw it: a list of events.
local hex = require "pipehost.hex"

local MOST_LINES = 40 -- of the text

---@class pipehost.handshake.event
---@field kind "open" | ">" | "<" | "close" | "closed" > was sent, < was received, close was ours
---@field ms number since the conversation began
---@field bytes? string of > and <
---@field step? string the number of the step, as "2.1"

local M = {}

local function line(event)
  local bytes = event.bytes
  if not bytes then
    return ("%10.1f  %s"):format(event.ms, event.kind)
  end
  return ("%10.1f  %s %5d  %s"):format(event.ms, event.kind, #bytes, bytes == "" and "" or hex.line(bytes))
end

---A line for each event: milliseconds, direction, length, bytes.
---@param events pipehost.handshake.event[]
---@return string
function M.text(events)
  local lines, first = {}, math.max(1, #events - MOST_LINES + 1)
  if first > 1 then
    lines[1] = ("%10s  (%d events before)"):format("", first - 1)
  end
  for i = first, #events do
    lines[#lines + 1] = (line(events[i]):gsub(" +$", ""))
  end
  return table.concat(lines, "\n")
end

return M
