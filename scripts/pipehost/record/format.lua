-- SPDX-License-Identifier: MIT
-- The file of a recording: a header, an empty line, then one event a line.
--
--   pipehost-record 1
--   pipe ServerInfo
--   mode message
--   system windows
--
--   0.0        1 open
--   0.4        1 >     4  01 00 00 00                                      |....|
--   1.9        1 close client
--
-- Milliseconds since the first event, the connection's number, what happened; of
-- > (from client to server) and < how many bytes and which; of close who did it,
-- where that is known. Bytes go on in lines that begin with a blank, 16 in each;
-- the text after | is for people. Lines that begin with # are comments.
local hex = require "pipehost.hex"

local VERSION = 1
local MAGIC = "pipehost-record "
local ROW = 16

---@class pipehost.record.event
---@field ms number since the first event
---@field conn integer
---@field kind "open" | ">" | "<" | "close"
---@field bytes? string of > and <
---@field by? "client" | "server" of close
---@field line? integer in the file

---@class pipehost.record.recording
---@field header table<string, string> pipe, mode, system and what else there is
---@field events pipehost.record.event[]
---@field path? string

local M = {}

-- Writing ------------------------------------------------------------------------

local header_order = { "pipe", "mode", "system" }

---@param header table<string, string>
---@return string
function M.header_text(header)
  local lines, first = { MAGIC .. VERSION }, {}
  for _, key in ipairs(header_order) do
    first[key] = true
    lines[#lines + 1] = header[key] and ("%s %s"):format(key, header[key])
  end
  local others = {}
  for key, value in pairs(header) do
    others[#others + 1] = not first[key] and ("%s %s"):format(key, value) or nil
  end
  table.sort(others)
  table.move(others, 1, #others, #lines + 1, lines)
  return table.concat(lines, "\n") .. "\n\n"
end

local function row_text(bytes, from)
  local part = bytes:sub(from, from + ROW - 1)
  return ("%-" .. 3 * ROW .. "s|%s|"):format(hex.digits(part), hex.text(part))
end

---One event as its lines.
---@param event pipehost.record.event
---@return string
function M.event_text(event)
  local head = ("%-9.1f %2d %s"):format(event.ms, event.conn, event.kind)
  if not event.bytes then
    return head .. (event.by and " " .. event.by or "") .. "\n"
  end
  local lines = { ("%s %5d"):format(head, #event.bytes) }
  for from = 1, #event.bytes, ROW do
    local before = from == 1 and table.remove(lines) or (" "):rep(#head + 6)
    lines[#lines + 1] = before .. "  " .. row_text(event.bytes, from)
  end
  return table.concat(lines, "\n") .. "\n"
end

---@param recording pipehost.record.recording
---@return string
function M.text(recording)
  local parts = { M.header_text(recording.header) }
  for i, event in ipairs(recording.events) do
    parts[i + 1] = M.event_text(event)
  end
  return table.concat(parts)
end

-- Reading ------------------------------------------------------------------------

-- What is wrong in the line that is being read.
local function fail(message, ...)
  error(message:format(...), 0)
end

local function add_digits(state, text)
  local digits = text:match("^[^|]*"):gsub("%s+", "")
  if digits:find "%X" or #digits % 2 == 1 then
    fail "the bytes are pairs of hexadecimal digits"
  end
  state.digits[#state.digits + 1] = digits
end

-- The event before is whole when another one, or the end, comes.
local function finish(state)
  local event = state.event
  if event and event.bytes then
    event.bytes = table.concat(state.digits):gsub("%x%x", function(pair)
      return string.char(tonumber(pair, 16))
    end)
    if #event.bytes ~= state.size then
      state.line = event.line
      fail("%d bytes are announced, but there are %d", state.size, #event.bytes)
    end
  end
  state.event = nil
end

local readers = {}

local function read_bytes(state, event, rest)
  local size, digits = rest:match "^(%d+)%s*(.*)$"
  if not size then
    fail("after '%s' comes the number of bytes", event.kind)
  end
  state.size, state.digits, event.bytes = math.tointeger(tonumber(size)), {}, ""
  add_digits(state, digits)
end

readers[">"], readers["<"] = read_bytes, read_bytes

function readers.open(state, event)
  if state.opened[event.conn] then
    fail("connection %d is open already", event.conn)
  end
  state.opened[event.conn] = true
end

function readers.close(state, event, rest)
  event.by = rest ~= "" and rest or nil
  if event.by and event.by ~= "client" and event.by ~= "server" then
    fail("'close' is by client or server, not by '%s'", event.by)
  end
  state.closed[event.conn] = true
end

local function read_event(state, text)
  finish(state)
  local ms, conn, kind, rest = text:match "^(%d+%.?%d*)%s+(%d+)%s+(%S+)%s*(.-)%s*$"
  if not ms then
    fail "an event is 'MS CONNECTION open|>|<|close …'"
  elseif not readers[kind] then
    fail("an event is open, >, < or close, not '%s'", kind)
  end
  local event = { ms = tonumber(ms), conn = math.tointeger(tonumber(conn)), kind = kind, line = state.line }
  if state.closed[event.conn] then
    fail("connection %d is closed already", event.conn)
  elseif kind ~= "open" and not state.opened[event.conn] then
    fail("connection %d is not open", event.conn)
  end
  readers[kind](state, event, rest)
  state.events[#state.events + 1] = event
  state.event = event
end

local function check_header(state)
  local mode = state.header.mode
  if not state.header.pipe then
    fail "the header has no line 'pipe NAME'"
  elseif mode ~= "message" and mode ~= "byte" then
    fail "the header has no line 'mode message' or 'mode byte'"
  end
end

local function read_header(state, text)
  local key, value = text:match "^(%S+)%s+(.-)%s*$"
  if state.line == 1 then
    local version = text:match("^" .. MAGIC:gsub("%-", "%%-") .. "(%d+)%s*$")
    if not version then
      fail "this is no recording of pipehost; its first line would be 'pipehost-record 1'"
    elseif tonumber(version) > VERSION then
      fail("version %s is of a later pipehost; this one reads version %d", version, VERSION)
    end
  elseif text:find "^%s*$" then
    check_header(state)
    state.in_events = true
  elseif not key then
    fail "a line of the header is a word and its value"
  else
    state.header[key] = value
  end
end

local function read_line(state, text)
  if text:sub(1, 1) == "#" then
    return
  elseif not state.in_events then
    return read_header(state, text)
  elseif text:find "^%s*$" then
    return
  elseif not text:find "^%s" then
    return read_event(state, text)
  elseif not (state.event and state.event.bytes) then
    fail "this line goes on with the bytes of an event, but there is none before it"
  end
  add_digits(state, text)
end

---@param text string
---@param path string for messages
---@return pipehost.record.recording?
---@return string? message
function M.parse(text, path)
  local state = { line = 0, header = {}, events = {}, opened = {}, closed = {} }
  local ok, message = pcall(function()
    for line in text:gmatch "[^\n]*" do
      state.line = state.line + 1
      read_line(state, (line:gsub("\r$", "")))
    end
    finish(state)
    if not state.in_events then
      check_header(state)
    end
  end)
  if not ok then
    return nil, ("%s:%d: %s"):format(path, state.line, message)
  end
  return { header = state.header, events = state.events, path = path }
end

---@param path string
---@return pipehost.record.recording?
---@return string? message
function M.read(path)
  local file, message = io.open(path, "rb")
  local text
  if file then
    text, message = file:read "a"
    file:close()
  end
  if not text then
    return nil, "cannot read " .. tostring(message)
  end
  return M.parse(text, path)
end

return M
