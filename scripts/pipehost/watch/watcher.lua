-- SPDX-License-Identifier: MIT
-- serve --watch: reloads a script some time after its files have changed. What
-- has happened is only a reason to look; the files' text decides.
local files = require "pipehost.files"
local folders = require "pipehost.watch.folders"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local places = require "pipehost.watch.places"
local serving = require "pipehost.serving"

local QUIET_MS = 100 -- after the last event …
local MOST_MS = 2000 -- … but no longer than this after the first
local EMPTY_MS = 500 -- an emptied file may be half a save
local WRITER_MS = 10000 -- for one who has a file open to finish
local GONE_MS = 1000 -- until a script whose file has gone is stopped

---@class pipehost.watcher
local Watcher = {}
Watcher.__index = Watcher

local M = {}

-- Something has happened, now.
function Watcher:notice()
  self.last = pipe.now()
  self.first = self.first or self.last
  self.event:set()
end

-- Something is to be looked at again, whatever happens.
function Watcher:look_in(ms)
  pipe.spawn(function()
    pipe.sleep(ms)
    self:notice()
  end)
end

function Watcher:settle()
  repeat
    local now = pipe.now()
    local left = math.min(self.last + QUIET_MS, self.first + MOST_MS) - now
    pipe.sleep(math.max(left, 0))
  until left <= 0
  self.first = nil
  self.event:reset()
end

-- Which folders to watch --------------------------------------------------------------

function Watcher:update()
  if self.poll_ms then
    return
  end
  local wanted, real = {}, {}
  for _, script in ipairs(self.serving.scripts) do
    for path in pairs(script.seen) do
      real[path] = real[path] or places.add_file(wanted, path)
    end
  end
  for _, folder in ipairs(self.serving.folders) do
    places.add_folder(wanted, folder)
    for _, sub in ipairs(serving.subfolders(folder)) do
      places.add_folder(wanted, sub)
    end
  end
  self.real = real
  if self.folders:set(wanted) then
    self:notice()
  end
end

-- One script ----------------------------------------------------------------------------

-- How long to wait before these files are taken; 0: not at all.
function Watcher:patience(script, now, changed)
  local wait, waited = 0, pipe.now() - (script.unsettled or pipe.now())
  for _, path in ipairs(changed) do
    local writes = self.folders.writing[self.real[path]]
    if writes and pipe.now() - writes < WRITER_MS then
      wait = QUIET_MS
    elseif now[path] == "" and script.seen[path] and waited < EMPTY_MS then
      wait = EMPTY_MS
    end
  end
  return wait
end

-- Without events only the text tells whether somebody is writing.
function Watcher:is_steady(script, now)
  if not self.poll_ms then
    return true
  end
  local same = script.polled ~= nil
  if pipe.now() - script.unsettled >= MOST_MS then
    return true
  end
  for path, text in pairs(now) do
    same = same and script.polled[path] == text
  end
  script.polled = now
  return same
end

function Watcher:look_at(script)
  local now, changed = files.compare(script.seen)
  if not changed[1] then
    script.unsettled, script.polled = nil, nil
    return
  end
  script.unsettled = script.unsettled or pipe.now()
  local wait = self:is_steady(script, now) and self:patience(script, now, changed) or QUIET_MS
  if wait > 0 then
    self:look_in(wait)
    return
  end
  script.unsettled, script.polled = nil, nil
  script:reload { watch = true }
  self:update()
  self:notice() -- it may have changed while it was loaded
end

-- A script's reload takes its time, and the others do not wait for it.
function Watcher:start_look(script)
  if script.looked_at then
    script.look_again = true
    return
  end
  script.looked_at = true
  pipe.spawn(function()
    local ok, message = xpcall(self.look_at, debug.traceback, self, script)
    if not ok then
      log.error(message)
    end
    script.looked_at = false
    if script.look_again then
      script.look_again = false
      self:notice()
    end
  end)
end

-- Folders of the command line -------------------------------------------------------------

-- A file that is replaced is not there for a moment.
function Watcher:remove_gone(gone)
  local still = {}
  for _, script in ipairs(gone) do
    local since = self.gone[script] or pipe.now()
    if pipe.now() - since >= GONE_MS then
      pipe.spawn(self.serving.remove, self.serving, script)
    else
      still[script] = since
      self:look_in(GONE_MS)
    end
  end
  self.gone = still
end

function Watcher:scan()
  local appeared, gone = self.serving:scan()
  self:remove_gone(gone)
  for _, path in ipairs(appeared) do
    pipe.spawn(function()
      self.serving:add(path)
      self:update()
      self:notice()
    end)
  end
end

-- All -----------------------------------------------------------------------------------

function Watcher:round()
  self:update()
  self:scan()
  for _, script in ipairs(self.serving.scripts) do
    self:start_look(script)
  end
end

-- Whatever goes wrong, the next change is looked at.
function Watcher:run()
  while true do
    self.event:wait(self.poll_ms)
    if self.event:is_set() then
      self:settle()
    end
    local ok, message = xpcall(self.round, debug.traceback, self)
    if not ok then
      log.error(message)
    end
  end
end

---Watches the files of what is served, until the task is cancelled.
---@param served pipehost.serving
---@param poll_ms? number looks every so often, instead of being told
---@return userdata task
function M.start(served, poll_ms)
  local self = setmetatable({
    serving = served, poll_ms = poll_ms, event = pipe.event(), gone = {}, real = {},
  }, Watcher)
  self.folders = folders.new(function()
    self:notice()
  end)
  served.committed = function(script, generation)
    pipe.spawn(script.follow, script, generation, function()
      self:notice()
    end)
  end
  for _, script in ipairs(served.scripts) do
    script.committed = served.committed
    script.committed(script, script.current)
  end
  self:notice()
  return pipe.spawn(self.run, self)
end

return M
