-- SPDX-License-Identifier: MIT
-- Reads from a pipe what a matcher is to look at: a message, or of a byte pipe
-- as much as the matcher takes.
local pipe = require "pipehost.pipe"

local CHUNK = 65536
local MOST_LEFT = 16 -- messages looked at after a failure

local M = {}

---Does the pipe have messages?
---@return boolean
function M.has_messages(conn)
  local info = conn:info()
  return info.mode == "message" or info.framed
end

---Why a pipe of this kind cannot be read for the matcher, or nil.
---@param matcher pipehost.handshake.matcher
---@param messages boolean
---@return string?
function M.problem(matcher, messages)
  if messages and matcher.lines then
    return ("%s is read from a byte pipe, and this one has messages"):format(matcher)
  elseif not messages and not matcher.reads then
    return ("how much is to be read for %s? On a byte pipe use steps.line(what) or steps.bytes(count, what)")
      :format(matcher)
  end
end

-- What has come by now, at most CHUNK bytes.
local function left(conn)
  local data = conn:read(CHUNK, 0)
  return data or ""
end

-- Alternatives of several sizes: the shortest that matches counts.
local function read_sizes(conn, matcher, captures, ms)
  local deadline, data = ms and pipe.now() + ms, ""
  for _, size in ipairs(matcher.reads) do
    local rest = deadline and math.max(deadline - pipe.now(), 0)
    local part, code, info = conn:read_exact(size - #data, rest)
    if not part then
      return nil, code, info, data .. left(conn)
    end
    data = data .. part
    if matcher.match(data, captures) or not matcher.possible(data) then
      break
    end
  end
  return data
end

local function read_bytes(conn, matcher, captures, ms)
  local reads = matcher.reads
  if type(reads) == "table" then
    return read_sizes(conn, matcher, captures, ms)
  end
  local data, code, info
  if reads == "line" then
    data, code, info = conn:read_line(ms)
  elseif reads == "some" then
    data, code, info = conn:read(CHUNK, ms)
  else
    data, code, info = conn:read_exact(reads, ms)
  end
  if not data then
    return nil, code, info, left(conn)
  end
  return data
end

---Reads. What came before a failure, of a byte pipe, is given besides.
---@param conn userdata
---@param messages boolean
---@param matcher pipehost.handshake.matcher
---@param captures table
---@param ms? number
---@return string? data
---@return string? code
---@return table? info
---@return string? came
function M.read(conn, messages, matcher, captures, ms)
  if not messages then
    return read_bytes(conn, matcher, captures, ms)
  end
  local data, code, info = conn:receive(ms)
  return data, code, info, ""
end

---What the other end has left behind when it closed.
---@return string[]
function M.rest(conn, messages)
  local list = {}
  for i = 1, MOST_LEFT do
    local data = messages and conn:receive(0) or not messages and conn:read(CHUNK, 0)
    if not data then
      break
    end
    list[i] = data
  end
  return list
end

return M
