-- SPDX-License-Identifier: MIT
-- Plays checked steps on an open pipe, from either end of it.
local core = require "pipehost.core"
local lists = require "pipehost.handshake.list"
local pipe = require "pipehost.pipe"
local reader = require "pipehost.handshake.reader"
local report = require "pipehost.handshake.report"
local steps = require "pipehost.handshake.steps"

---@class pipehost.handshake.play
---@field conn userdata
---@field subject string the pipe's name
---@field messages boolean the pipe has messages
---@field captures table
---@field events pipehost.handshake.event[]
---@field begin number
---@field trace? fun(direction: string, bytes: string)
---@field timeout? number ms of each step
---@field deadline? { at: number, ms: number } the nearest one of all that are around
---@field closed_by? string the step that has closed our end
---@field failed? table the info that has its step already
---@field label string the names of the lists around, each with ": " after it
local Play = {}
Play.__index = Play

function Play:note(kind, bytes, path)
  self.events[#self.events + 1] = { kind = kind, ms = pipe.now() - self.begin, bytes = bytes, step = path }
  if self.trace and bytes then
    self.trace(kind, bytes)
  end
end

-- What the step may take: ms is nil when nothing bounds it.
---@return { ms?: number, deadline?: number }
function Play:limit(own)
  local ms = own or self.timeout
  if self.deadline then
    local left = math.max(self.deadline.at - pipe.now(), 0)
    if not ms or left < ms then
      return { ms = left, deadline = self.deadline.ms }
    end
  end
  return { ms = ms }
end

-- Steps: each gives true, or nil, code, info ---------------------------------------

local kinds = {}

-- Mistakes of the script that show only now, with the step's place.
local function misuse(step, path, message)
  error(("%s: step %s (%s): %s"):format(step.where, path, step.name, message), 0)
end

local function data_of(play, step, path)
  if type(step.data) ~= "function" then
    return step.data
  end
  local data, code, info = step.data(play.captures)
  if data == false and type(code) == "string" then
    misuse(step, path, code) -- what a struct does not take
  elseif type(data) ~= "string" and not (data == nil and type(code) == "string") then
    misuse(step, path, ("a string is sent, but its function gave a %s"):format(type(data)))
  end
  return data, code, info
end

-- Who closes often says why before.
local function hear_out(play, code, path)
  if code == "closed" then
    for _, data in ipairs(reader.rest(play.conn, play.messages)) do
      play:note("<", data, path)
    end
    play:note("closed", nil, path)
  end
end

function kinds.send(play, step, path)
  local data, code, info = data_of(play, step, path)
  if not data then
    return nil, code, info
  end
  local limit = play:limit(step.timeout)
  play:note(">", data, path)
  local send = play.messages and play.conn.send or play.conn.write
  local sent
  sent, code, info = send(play.conn, data, limit.ms)
  if not sent then
    hear_out(play, code, path)
    return report.not_sent(data, code, info, limit)
  end
  return true
end

local function keep(play, step, value, more)
  for name, other in pairs(more or {}) do
    play.captures[name] = other
  end
  if step.as then
    play.captures[step.as] = value
  end
  return true
end

local function not_read(play, step, path, code, info, came, limit)
  if came ~= "" then
    play:note("<", came, path)
  end
  if code == "closed" then
    play:note("closed", nil, path)
    if step.matcher.closed and came == "" then
      return true
    end
  end
  return report.nothing(step.matcher, code, info, came, limit)
end

function kinds.expect(play, step, path)
  local limit = play:limit(step.timeout)
  local data, code, info, came = reader.read(play.conn, play.messages, step.matcher, play.captures, limit.ms)
  if not data then
    return not_read(play, step, path, code, info, came, limit)
  end
  play:note("<", data, path)
  local ok, value, more = step.matcher.match(data, play.captures)
  if ok then
    return keep(play, step, value, more)
  end
  return report.mismatch(step.matcher, data, value, more)
end

kinds.any_of, kinds.expect_close = kinds.expect, kinds.expect

function kinds.close(play, step, path)
  play.closed_by = path
  play:note("close", nil, path)
  return play.conn:close(step.timeout)
end

function kinds.capture(play, step)
  local value, code, info = step.fn(play.captures)
  if value == nil and type(code) == "string" then
    return nil, code, info
  end
  play.captures[step.key] = value
  return true
end

function kinds.call(play, step)
  local value, code, info = step.fn(play.captures, play.conn)
  if value == nil and type(code) == "string" then
    return nil, code, info
  end
  return true
end

function kinds.wait(play, step)
  local limit = play:limit(step.ms)
  pipe.sleep(limit.ms)
  if limit.deadline then
    return report.late(limit)
  end
  return true
end

function kinds.branch(play, step, path)
  return play:group(step.fn(play.captures) and step.yes or step.no, path .. ".")
end

function kinds.loop(play, step, path)
  while step.fn(play.captures) do
    local limit = play:limit()
    if limit.deadline and limit.ms == 0 then
      return report.late(limit)
    end
    local ok, code, info = play:group(step.yes, path .. ".")
    if not ok then
      return nil, code, info
    end
    -- Steps that never wait would keep everybody else waiting.
    pipe.sleep(0)
  end
  return true
end

-- Lists ------------------------------------------------------------------------------

local needs_pipe = { send = true, expect = true, any_of = true, expect_close = true, close = true }

function Play:step(step, path)
  if self.closed_by and needs_pipe[step.kind] then
    misuse(step, path, ("the pipe has been closed by step %s"):format(self.closed_by))
  end
  local ok, code, info = kinds[step.kind](self, step, path)
  if ok then
    return true
  elseif not core.is_info(info) then
    local _
    _, _, info = core.failure(code, step.kind, self.subject, info ~= nil and tostring(info) or code)
  end
  if self.failed ~= info then
    self.failed = info
    local index = math.tointeger(tonumber(path:match "^%d+"))
    report.complete(info, { index = index, name = self.label .. step.name, path = path, where = step.where },
      self.subject, self.events)
  end
  return nil, code, info
end

-- A list with the deadline and the name that it may have.
function Play:group(list, prefix)
  local deadline, label = self.deadline, self.label
  local mine = list.deadline and { at = pipe.now() + list.deadline, ms = list.deadline }
  if mine and (not deadline or mine.at < deadline.at) then
    self.deadline = mine
  end
  if list.name then
    self.label = label .. list.name .. ": "
  end
  local ok, code, info = self:list(list, prefix)
  self.deadline, self.label = deadline, label
  return ok, code, info
end

---@param list table
---@param prefix string
function Play:list(list, prefix)
  for i, item in ipairs(list) do
    local ok, code, info
    if steps.is_step(item) then
      ok, code, info = self:step(item, prefix .. i)
    else
      ok, code, info = self:group(item, prefix .. i .. ".")
    end
    if not ok then
      return nil, code, info
    end
  end
  return true
end

---@class pipehost.handshake.play_options
---@field timeout? number ms of each step
---@field deadline? { at: number, ms: number } of all
---@field trace? fun(direction: string, bytes: string)
---@field captures? table to begin with
---@field begin? number the transcript's zero

---Plays checked steps.
---@param conn userdata
---@param list table
---@param options pipehost.handshake.play_options
---@return table? captures
---@return pipehost.handshake.event[] | string transcript, or the code
---@return table? info
return function(conn, list, options)
  local play = setmetatable({
    conn = conn, subject = conn:info().name, messages = reader.has_messages(conn), label = "",
    captures = options.captures or {}, events = {}, begin = options.begin or pipe.now(), trace = options.trace,
    timeout = options.timeout, deadline = options.deadline,
  }, Play)
  lists.check_kind(list, play.messages)
  play:note "open"
  local ok, code, info = play:group(list, "")
  if not ok then
    return nil, code, info
  end
  return play.captures, play.events
end
