-- SPDX-License-Identifier: MIT
-- Plays a recording: the server's end for clients that come, or the client's end
-- to a server.
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"
local play = require "pipehost.record.player"
local scripts = require "pipehost.record.script"
local server = require "pipehost.server"

local STOP_MS = 1000

---@class pipehost.replay.options
---@field role "server" | "client"
---@field name string the pipe to serve or to open
---@field timeout? number ms: for each thing that is expected, and for a connection
---@field recorded_time? boolean
---@field matching pipehost.record.matching
---@field protocol? pipehost.record.protocol
---@field max_message? integer
---@field extra? fun(conn: userdata) takes connections that were not recorded
---@field connections? integer with `extra`: ends after so many of all kinds
---@field see? fun(number: integer, kind: string, bytes?: string, ours?: boolean)

---@class pipehost.replay
---@field list pipehost.record.connection[]
---@field failures pipehost.record.failure[]
---@field played integer connections that went well
---@field turns integer of these
local Replay = {}
Replay.__index = Replay

local M = {}

---@param recording pipehost.record.recording
---@param options pipehost.replay.options
---@return pipehost.replay
function M.new(recording, options)
  local frame = options.protocol and options.protocol.frame
  return setmetatable({
    recording = recording, options = options, list = scripts.of(recording, options.role, frame),
    mode = recording.header.mode, frame = frame, failures = {}, played = 0, turns = 0, taken = 0, live = 0, others = 0,
    changed = pipe.event(),
  }, Replay)
end

function Replay:fail(wrong)
  self.failures[#self.failures + 1] = wrong
end

function Replay:play(conn, connection)
  local options = self.options
  local wrong, turns = play(conn, connection, {
    messages = self.mode == "message", frame = self.frame, matching = options.matching, timeout = options.timeout,
    recorded_time = options.recorded_time,
    see = options.see and function(...)
      options.see(connection.number, ...)
    end,
  })
  self.turns = self.turns + turns
  if wrong then
    self:fail(wrong)
  else
    self.played = self.played + 1
  end
end

-- The server's end -------------------------------------------------------------------

function Replay:session(conn)
  self.taken, self.live = self.taken + 1, self.live + 1
  self.changed:set()
  local connection = self.list[self.taken]
  if connection then
    self:play(conn, connection)
  elseif self.options.extra then
    self.options.extra(conn)
    self.others = self.others + 1
  else
    self:fail { text = ("a client opened a connection too many; recorded: %d"):format(#self.list) }
  end
  self.live = self.live - 1
  self.changed:set()
end

-- Is there nothing more to wait for?
function Replay:over()
  if self.live > 0 then
    return false
  elseif #self.failures > 0 then
    return true
  elseif self.options.extra then
    return self.played + self.others == self.options.connections
  end
  return self.taken >= #self.list
end

-- Waits for the next thing to happen; false when nothing did, or a signal came.
function Replay:wait(signal)
  local ms = self.live == 0 and not self.options.extra and self.options.timeout or nil
  local first = pipe.wait_any({ self.changed, signal }, ms)
  self.changed:reset()
  return first == self.changed
end

function Replay:missing(signalled)
  for i = self.taken + 1, #self.list do
    local connection = self.list[i]
    local why = signalled and "before the end" or ("within %g ms"):format(self.options.timeout)
    self:fail { text = ("it was not opened %s"):format(why), connection = connection }
  end
end

---Serves until all connections have been played, or one went wrong.
---@return string? message when the pipe cannot be served
function Replay:serve()
  local ok, made = pcall(server.declare, {
    name = self.options.name, mode = self.mode, max_message = self.options.max_message,
    session = function(conn)
      self:session(conn)
    end,
  })
  if not ok then
    return made
  end
  local signal = pipe.spawn(core.host.wait_signal)
  local going = true
  while going and not self:over() do
    going = self:wait(signal)
  end
  local signalled = pipe.wait_any({ signal }, 0) ~= nil
  signal:cancel()
  if #self.failures == 0 then
    self:missing(signalled)
  end
  made:stop(STOP_MS)
end

-- The client's end ---------------------------------------------------------------------

function Replay:client(i, tasks, opened)
  local connection = self.list[i]
  for _, j in ipairs(scripts.before(self.list, i)) do
    tasks[j]:wait()
  end
  if #self.failures > 0 then
    return
  elseif self.options.recorded_time then
    pipe.sleep(math.max(self.begin + connection.ms - pipe.now(), 0))
  end
  local conn <close>, code, info = pipe.open(self.options.name, {
    mode = self.mode, timeout = self.options.timeout, max_message = self.options.max_message,
  })
  opened:set()
  if not conn then
    return self:fail { text = info.message, code = code, connection = connection }
  end
  core.set_timeout(conn, nil) -- that was for the open
  if self.options.see then
    self.options.see(connection.number, "open")
  end
  self:play(conn, connection)
end

function Replay:clients(tasks)
  for i in ipairs(self.list) do
    local opened = pipe.event()
    tasks[i] = pipe.spawn(self.client, self, i, tasks, opened)
    pipe.wait_any { opened, tasks[i] }
  end
  for _, task in ipairs(tasks) do
    task:wait()
  end
end

---Opens the connections in their order, and plays them side by side where they were.
function Replay:connect()
  local tasks = {}
  self.begin = pipe.now()
  local all, signal = pipe.spawn(self.clients, self, tasks), pipe.spawn(core.host.wait_signal)
  if pipe.wait_any { all, signal } == signal then
    self:fail { text = "interrupted" }
    tasks[#tasks + 1] = all
    for _, task in ipairs(tasks) do
      task:cancel()
    end
  else
    signal:cancel()
    all:wait()
  end
end

---@return string text of all that went wrong
function Replay:report()
  local path, lines = self.recording.path or "recording", {}
  for _, wrong in ipairs(self.failures) do
    local at = wrong.turn and wrong.turn.event.line or nil
    local where = wrong.connection and (" connection %d:"):format(wrong.connection.number) or ""
    lines[#lines + 1] = ("%s%s:%s %s"):format(path, at and ":" .. at or "", where, wrong.text)
    lines[#lines + 1] = wrong.details ~= "" and wrong.details or nil
  end
  return table.concat(lines, "\n")
end

return M
