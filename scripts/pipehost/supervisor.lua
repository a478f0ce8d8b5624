-- SPDX-License-Identifier: MIT
-- A served script and its generations: load, commit, reload, rollback, stop.
-- A reload makes a new state; nothing of it is seen before its commit, and
-- where it fails before that, the old generation goes on.
local common = require "pipehost.command.common"
local files = require "pipehost.files"
local generations = require "pipehost.generation"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local replicas = require "pipehost.worker.replicas"

local MAX_GENERATIONS = 8 -- alive at once, of one script
local KEPT_SOURCES = 5 -- for a rollback
local EVICT_MS = 3000 -- for an evicted generation to end
local EMPTY_TRIES, EMPTY_MS = 6, 100
local NAMED = 5 -- files, or clients, in a message

---@class pipehost.supervised
---@field path string
---@field number integer of the last commit
---@field current? pipehost.generation that new clients get
---@field draining pipehost.generation[] those that still have clients, the oldest first
---@field seen table<string, string | false> the files, as they were last looked at
---@field committed? fun(script: pipehost.supervised, generation: pipehost.generation) called for each commit
---@field found? boolean in a folder of the command line, not named there itself
---@field failures integer attempts that failed
---@field commit_ms? number that the last commit took
---@field last_error? string until an attempt succeeds
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
    path = path, args = args, owner = owners, number = 0, draining = {}, history = {}, seen = {},
    failures = 0, turns = {},
  }, Script)
end

-- Making a generation -----------------------------------------------------------

-- Files that were read for a candidate, whatever became of it.
function Script:note(candidate, snapshot)
  for path, text in pairs(candidate.sources) do
    if snapshot then
      text = self.seen[path]
      text = text == nil and files.read(path) or text
    end
    self.seen[path] = text
  end
end

---Takes up what the handlers of a generation require and read, as long as it is
---the current one.
---@param generation pipehost.generation
---@param noticed fun() called when there is something new
function Script:follow(generation, noticed)
  while self.current == generation do
    generation:read_more()
    for path, text in pairs(generation.sources) do
      self.seen[path] = self.seen[path] or text
    end
    noticed()
  end
end

---A state with the script loaded; nothing of it is bound.
---@param snapshot? table<string, string | false> instead of the files
---@return pipehost.generation?
---@return string? message
---@return integer? status
function Script:load(snapshot)
  local kind = self.args.crew and replicas or generations
  local candidate, message, status = kind.open(self.path, self.args, {
    number = self.number + 1, owner = self.owner, snapshot = snapshot,
  })
  if not candidate then
    self.seen[self.path] = files.read(self.path)
    return nil, message, status
  end
  local ok, why = candidate:load()
  files.share(candidate.sources, self.current and self.current.sources)
  self:note(candidate, snapshot)
  if not ok then
    candidate:close()
    return nil, why, common.SCRIPT_ERROR
  end
  return candidate
end

-- For a rollback.
function Script:remember(generation)
  for _, kept in ipairs(self.history) do
    if kept.number == generation.number then
      kept.sources = generation.sources
      return
    end
  end
  table.insert(self.history, { number = generation.number, sources = generation.sources })
  if #self.history > KEPT_SOURCES then
    table.remove(self.history, 1)
  end
end

---All or nothing: binds, takes over, runs. The candidate is closed on failure.
---@param candidate pipehost.generation
---@return boolean?
---@return string? message
---@return integer? status
function Script:commit(candidate)
  local old = self.current
  if self.stopped then
    candidate:close()
    return nil, self.path .. ": it is being stopped", common.FAILED
  end
  local ok, message, status = candidate:bind(old)
  if ok then
    local begun = pipe.now()
    ok, message = candidate:commit()
    status = common.SCRIPT_ERROR
    self.commit_ms = pipe.now() - begun
  end
  if not ok then
    candidate:close()
    if old then
      old:restore()
    end
    return nil, message, status
  end
  self.number, self.current = candidate.number, candidate
  self:remember(candidate)
  if self.committed then
    self.committed(self, candidate)
  end
  if old then
    self.draining[#self.draining + 1] = old
    pipe.spawn(self.retire, self, old)
  end
  return true
end

-- The old generation serves the clients that stay with it, and is closed when
-- the last one has gone.
function Script:retire(old)
  old:read_sources()
  self:remember(old)
  old:retire(self.args.drain)
  for i, other in ipairs(self.draining) do
    if other == old then
      table.remove(self.draining, i)
      break
    end
  end
end

-- Reload ----------------------------------------------------------------------

local function and_more(list)
  if #list <= NAMED then
    return table.concat(list, ", ")
  end
  return ("%s and %d more"):format(table.concat(list, ", ", 1, NAMED), #list - NAMED)
end

local function who_holds(generation)
  local names = {}
  for i, holder in ipairs(generation:holders()) do
    names[i] = ("%s connection %d"):format(holder.server, holder.id)
      .. (holder.pid and (" of process %d"):format(holder.pid) or "")
  end
  return and_more(names)
end

local function evict(generation)
  generation:evict()
  generation.closed:wait(EVICT_MS)
end

-- Is there room for one more? `makes_room`: the oldest are cut for it.
function Script:room(makes_room)
  while #self.draining + 1 >= MAX_GENERATIONS do
    local oldest = self.draining[1]
    if not makes_room then
      return nil, ("%d generations are alive; generation %d, the oldest, is held by %s (reload --evict cuts them)")
        :format(#self.draining + 1, oldest.number, who_holds(oldest)), common.FAILED
    end
    log.warn(("%s: generation %d is over, past %d generations: cut are %s"):format(self.path, oldest.number,
      MAX_GENERATIONS, who_holds(oldest)))
    evict(oldest)
    if self.draining[1] == oldest then
      return nil, ("generation %d, the oldest, does not end"):format(oldest.number), common.FAILED
    end
  end
  return true
end

function Script:attempt(turn)
  local ok, message, status = self:room(turn.evict or turn.watch)
  if not ok then
    return nil, message, status
  end
  local candidate
  candidate, message, status = self:load(turn.snapshot)
  if not candidate then
    return nil, message, status
  end
  ok, message = candidate:validate(self.current)
  if not ok then
    candidate:close()
    return nil, message, common.SCRIPT_ERROR
  end
  return self:commit(candidate)
end

function Script:failed(message, status)
  self.failures, self.last_error = self.failures + 1, message
  local current = self.current
  local clients = current and current:clients() or 0
  local text = current
      and ("%s: reload failed, generation %d stays active (%d connection%s): %s"):format(self.path, self.number,
        clients, clients == 1 and "" or "s", message)
    or ("%s: not started: %s"):format(self.path, message)
  log.error(text)
  return nil, text, status
end

function Script:succeeded(turn, changed)
  self.last_error = nil
  local text = ("%s: generation %d"):format(self.path, self.number)
  if turn.from then
    text = ("%s (a rollback to %d)"):format(text, turn.from)
  elseif changed[1] and self.number > 1 then
    text = ("%s (changed: %s)"):format(text, and_more(changed))
  end
  log.info(text)
  return text
end

-- An editor that empties a file before it writes to it is given some time. A
-- watcher has its own way.
local function look(seen)
  local now, moved
  for i = 1, EMPTY_TRIES do
    if i > 1 then
      pipe.sleep(EMPTY_MS)
    end
    now, moved = files.compare(seen)
    local emptied = false
    for _, path in ipairs(moved) do
      emptied = emptied or now[path] == "" and seen[path] ~= false
    end
    if not emptied then
      break
    end
  end
  return now, moved
end

function Script:run_turn(turn)
  local now, moved = look(self.seen)
  if turn.watch and not moved[1] then
    return ("%s: nothing has changed since it was tried"):format(self.path)
  end
  self.seen = now
  for _, old in ipairs(turn.evict and { table.unpack(self.draining) } or {}) do
    evict(old)
  end
  if self.current then
    self.current:read_sources()
  end
  local _, changed = files.compare(self.current and self.current.sources or {})
  if self.current and not changed[1] and not turn.snapshot and not turn.force then
    self.last_error = nil
    return ("%s: unchanged, still generation %d"):format(self.path, self.number)
  end
  local ok, message, status = self:attempt(turn)
  if ok then
    return self:succeeded(turn, changed)
  end
  return self:failed(message, status)
end

function Script:work()
  while self.turns[1] do
    local turn = table.remove(self.turns, 1)
    local ok, text, message, status = xpcall(self.run_turn, debug.traceback, self, turn)
    if ok then
      turn.result = { text, message, status }
    else
      turn.result = { nil, text, common.INTERNAL }
      log.error(text)
    end
    turn.done:set()
  end
  self.working = nil
end

-- One at a time. Who comes meanwhile shares the next turn with all others that
-- do; only rollbacks have their own.
function Script:take_turn(options)
  local turn = self.turns[#self.turns]
  if turn and not turn.snapshot and not options.snapshot then
    turn.evict = turn.evict or options.evict
    turn.force = turn.force or options.force
    turn.watch = turn.watch and options.watch
  else
    turn = options
    turn.done = pipe.event()
    table.insert(self.turns, turn)
  end
  self.working = self.working or pipe.spawn(self.work, self)
  turn.done:wait()
  return turn.result[1], turn.result[2], turn.result[3]
end

---Makes a new generation of the files as they are now, if they have changed.
---@param options { evict?: boolean, force?: boolean, watch?: boolean } watch: a watcher has seen a change
---@return string? what has been done
---@return string? message why nothing was
---@return integer? status
function Script:reload(options)
  return self:take_turn { evict = options.evict, force = options.force, watch = options.watch }
end

---A new generation of the sources of the one before the current, or of `number`.
---@param number? integer
---@return string?
---@return string? message
---@return integer? status
function Script:rollback(number)
  local wanted
  for i, kept in ipairs(self.history) do
    if kept.number == number or (not number and i == #self.history - 1) then
      wanted = kept
    end
  end
  if not wanted then
    return nil, number and ("%s: the sources of generation %d are not kept"):format(self.path, number)
      or self.path .. ": there is no earlier generation", common.FAILED
  end
  return self:take_turn { snapshot = wanted.sources, from = wanted.number }
end

-- Status and end ----------------------------------------------------------------

---All generations that are alive, the current one first.
---@return pipehost.generation[]
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
  self.stopped = true
  return pipe.spawn(function()
    local remotes = {}
    for _, alive in ipairs(self:alive()) do
      remotes[#remotes + 1] = alive:stopping(ms)
    end
    for _, remote in ipairs(remotes) do
      remote:wait(ms + EVICT_MS)
    end
  end)
end

function Script:close()
  local list = self:alive()
  self.draining, self.current = {}, nil
  for _, alive in ipairs(list) do
    alive:close()
  end
end

return M
