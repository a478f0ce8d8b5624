-- SPDX-License-Identifier: MIT
-- A recording as what each of its connections has to do, from one end: a list of
-- turns. Of byte pipes, what came in chunks one after the other is one turn, cut
-- into messages where there is a frame.
local frames = require "pipehost.record.frames"

---@class pipehost.record.turn
---@field kind "send" | "expect" | "close" | "expect_close"
---@field direction? ">" | "<"
---@field bytes? string
---@field event pipehost.record.event the first that it is made of
---@field ms number of that event
---@field part? boolean a part of a stream: more or less may come at once

---@class pipehost.record.connection
---@field number integer as recorded
---@field turns pipehost.record.turn[]
---@field opened integer the place of its open among all events
---@field closed? integer of its close
---@field ms number of the open

local M = {}

local function turn_of(event, role)
  local turn = { event = event, ms = event.ms, bytes = event.bytes }
  if event.kind == "close" then
    -- Who closed is not known in a recording that was cut short.
    turn.kind = event.by == role and "close" or event.by and "expect_close" or "close"
  else
    turn.direction = event.kind
    turn.kind = (event.kind == ">") == (role == "client") and "send" or "expect"
  end
  return turn
end

local function add(list, turn)
  local last = list[#list]
  if last and last.kind == turn.kind and last.part and turn.bytes then
    last.bytes = last.bytes .. turn.bytes
  else
    list[#list + 1] = turn
  end
end

local function add_cut(list, turn, frame)
  local messages, rest = frames.cut(frame, turn.bytes)
  for _, bytes in ipairs(messages) do
    list[#list + 1] = setmetatable({ bytes = bytes, part = false, framed = true }, { __index = turn })
  end
  if rest ~= "" then
    list[#list + 1] = setmetatable({ bytes = rest }, { __index = turn })
  end
end

-- What is expected, cut into messages; what is sent stays whole.
local function cut_all(turns, frame)
  local list = {}
  for _, turn in ipairs(turns) do
    if turn.kind == "expect" then
      add_cut(list, turn, frame)
    else
      list[#list + 1] = turn
    end
  end
  return list
end

local function collect(recording, role)
  local byte, list, by_number = recording.header.mode == "byte", {}, {}
  for i, event in ipairs(recording.events) do
    local connection = by_number[event.conn]
    if event.kind == "open" then
      connection = { number = event.conn, turns = {}, opened = i, ms = event.ms }
      by_number[event.conn], list[#list + 1] = connection, connection
    else
      local turn = turn_of(event, role)
      turn.part = byte and turn.kind == "expect"
      add(connection.turns, turn)
      connection.closed = event.kind == "close" and i or connection.closed
    end
  end
  return list
end

---The connections in the order in which they were opened.
---@param recording pipehost.record.recording
---@param role "client" | "server" which end is to be played
---@param frame? pipehost.record.frame
---@return pipehost.record.connection[]
function M.of(recording, role, frame)
  local list = collect(recording, role)
  for _, connection in ipairs(frame and recording.header.mode == "byte" and list or {}) do
    connection.turns = cut_all(connection.turns, frame)
  end
  return list
end

---The connections that had ended before this one was opened.
---@param list pipehost.record.connection[]
---@param i integer
---@return integer[]
function M.before(list, i)
  local ended = {}
  for j = 1, i - 1 do
    if list[j].closed and list[j].closed < list[i].opened then
      ended[#ended + 1] = j
    end
  end
  return ended
end

return M
