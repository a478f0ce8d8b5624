-- SPDX-License-Identifier: MIT
-- A served script and its generations: load, commit, reload, rollback, stop.
-- A reload makes a new state; nothing of it is seen before its commit, and
-- where it fails before that, the old generation goes on.
local common = require "pipehost.command.common"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local MAX_GENERATIONS = 8 -- alive at once, of one script
local KEPT_SOURCES = 5 -- for a rollback
local RETIRE_SLACK_MS = 3000

---@class pipehost.supervised
---@field path string
---@field number integer of the last commit
---@field current table the generation that new clients get
---@field draining table[] those that still have clients
local Script = {}
Script.__index = Script

local M = {}
local owners = 0

---@param path string
---@param args table the command line
---@return pipehost.supervised
function M.new(path, args)
  owners = owners + 1
  return setmetatable({
    path = path, args = args, owner = owners, number = 0, draining = {}, history = {},
    failures = 0,
  }, Script)
end

---A state with the script loaded; nothing of it is bound.
function Script:load(snapshot)
  local number = self.number + 1
  local generation, message, status = common.open(self.path, self.args, "serve", {
    number = number, owner = self.owner, snapshot = snapshot,
  })
  if not generation then
    return nil, message, status
  end
  local candidate = { generation = generation, number = number, since = pipe.now() }
  local ok, why = generation:start("load"):wait()
  if not ok then
    why = common.explain(generation, why)
    common.close(generation)
    return nil, why, common.SCRIPT_ERROR
  end
  return candidate
end

-- All or nothing: binds, takes over, runs. The candidate is closed on failure.
function Script:commit(candidate)
  local ok, done, message = candidate.generation:start("commit"):wait()
  if not ok or not done then
    common.close(candidate.generation)
    return nil, ok and message or done, ok and common.UNAVAILABLE or common.SCRIPT_ERROR
  end
  self.number, self.current = candidate.number, candidate
  local _, sources = candidate.generation:start("sources"):wait()
  candidate.sources = sources
  table.insert(self.history, { number = candidate.number, sources = sources })
  if #self.history > KEPT_SOURCES then
    table.remove(self.history, 1)
  end
  return true
end

---Ends a candidate that is not to be committed.
function Script:discard(candidate)
  common.close(candidate.generation)
end

-- Reload ----------------------------------------------------------------------

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a") or false
  if file then
    file:close()
  end
  return text
end

function Script:unchanged()
  for path, text in pairs(self.current.sources) do
    if read(path) ~= text then
      return false
    end
  end
  return true
end

-- Would migrate take what connections keep now?
function Script:try_migrate(candidate)
  local ok, samples = self.current.generation:start("samples"):wait()
  if not ok then
    return nil, samples
  end
  local fine, message = candidate.generation:start("try_migrate", samples):wait()
  return fine, message
end

function Script:forget(old)
  for i, other in ipairs(self.draining) do
    if other == old then
      table.remove(self.draining, i)
    end
  end
end

-- The old generation serves the clients that stay with it, and is closed when
-- the last one has gone.
function Script:retire(old)
  local remote = old.generation:start("retire", self.args.drain)
  if remote then
    remote:wait(self.args.drain + RETIRE_SLACK_MS)
  end
  old.generation:cancel()
  old.generation:released()
  common.close(old.generation)
  self:forget(old)
  log.debug(("%s: generation %d is closed"):format(self.path, old.number))
end

function Script:evict()
  for _, old in ipairs(self.draining) do
    local remote = old.generation:start("evict")
    if remote then
      remote:wait(1000)
    end
  end
end

function Script:room(options)
  if #self.draining + 1 < MAX_GENERATIONS then
    return true
  end
  if options.evict then
    self:evict()
    return true
  end
  local oldest = self.draining[1]
  return nil, ("%d generations are alive; %d client(s) hold generation %d (reload --evict cuts them)"):format(
    #self.draining + 1, oldest.generation:clients(), oldest.number)
end

function Script:try_reload(options)
  local ok, message = self:room(options)
  if not ok then
    return nil, message
  end
  local candidate
  candidate, message = self:load(options.snapshot)
  if not candidate then
    return nil, message
  end
  ok, message = self:try_migrate(candidate)
  if not ok then
    self:discard(candidate)
    return nil, message
  end
  local old = self.current
  ok, message = self:commit(candidate)
  if not ok then
    return nil, message
  end
  self.draining[#self.draining + 1] = old
  pipe.spawn(self.retire, self, old)
  return true
end

---Makes a new generation of the files as they are now. One at a time; who comes
---meanwhile waits for his turn.
---@param options? { evict?: boolean, snapshot?: table, from?: integer }
---@return string? what has been done
---@return string? message why nothing was
function Script:reload(options)
  options = options or {}
  while self.busy do
    self.busy:wait()
  end
  if options.evict then
    self:evict()
  end
  if not options.snapshot and self:unchanged() then
    return ("%s: unchanged, still generation %d"):format(self.path, self.number)
  end
  local done = pipe.event()
  self.busy = done
  local ok, message = self:try_reload(options)
  self.busy = nil
  done:set()
  if ok then
    self.last_error = nil
    local from = options.from and (" (a rollback to %d)"):format(options.from) or ""
    log.info(("%s: generation %d%s"):format(self.path, self.number, from))
    return ("%s: generation %d%s"):format(self.path, self.number, from)
  end
  self.failures, self.last_error = self.failures + 1, message
  log.error(("reload failed, generation %d stays: %s"):format(self.number, message))
  return nil, ("reload failed, generation %d stays: %s"):format(self.number, message)
end

---A new generation of the sources of the one before the current, or of `number`.
---@param number? integer
---@return string?
---@return string? message
function Script:rollback(number)
  local wanted
  for i, kept in ipairs(self.history) do
    if kept.number == number or (not number and i == #self.history - 1) then
      wanted = kept
    end
  end
  if not wanted then
    return nil, number and ("the sources of generation %d are not kept"):format(number)
      or "there is no earlier generation"
  end
  return self:reload { snapshot = wanted.sources, from = wanted.number }
end

-- Status and end ----------------------------------------------------------------

---All generations that are alive, the current one first.
---@return table[]
function Script:alive()
  local list = { self.current }
  for i = #self.draining, 1, -1 do
    list[#list + 1] = self.draining[i]
  end
  return list
end

---Starts the stop of every generation; gives a task that ends when all are done.
---@param ms number for clients to finish
function Script:stopping(ms)
  return pipe.spawn(function()
    local remotes = {}
    for _, alive in ipairs(self:alive()) do
      remotes[#remotes + 1] = alive.generation:start("stop", ms)
    end
    for _, remote in ipairs(remotes) do
      remote:wait(ms + RETIRE_SLACK_MS)
    end
  end)
end

function Script:close()
  local list = self:alive()
  self.draining = {}
  for _, alive in ipairs(list) do
    common.close(alive.generation)
  end
end

return M
