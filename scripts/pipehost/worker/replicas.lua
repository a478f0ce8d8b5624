-- SPDX-License-Identifier: MIT
-- A generation of a script at all workers: the first one's, and where a server
-- has workers = "all" the same of the others, kept by their agents. Each step
-- happens in all of them, or the generation comes to nothing.
local generations = require "pipehost.generation"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local Generation = generations.class

-- For the answers of all workers. One whose thread is kept (by os.execute, say)
-- must not keep the others; a load or commit then fails.
local STEP_MS = 40000
local LOOK_MS, CLOSE_MS = 2000, 3000
local LIMITS = {
  status = LOOK_MS, clients = LOOK_MS, memory = LOOK_MS, holders = LOOK_MS, close = CLOSE_MS,
  retire = math.huge, stopping = math.huge, -- these take as long as the clients
}

---@class pipehost.replicas: pipehost.generation
---@field spread? boolean it is at the other workers too
local Replicas = setmetatable({}, { __index = Generation })
Replicas.__index = Replicas

local M = {}

---@param path string
---@param args table the command line, with `crew`
---@param more table
function M.open(path, args, more)
  local self, message, status = generations.open(path, args, more)
  if not self then
    return nil, message, status
  end
  self.crew, self.owner = args.crew, more.owner
  return setmetatable(self, Replicas)
end

-- What the agents answered.
function Replicas:everywhere(command, ...)
  if not self.opened then
    return {}
  end
  return self.crew:all(LIMITS[command] or STEP_MS, command, self.owner, self.number, ...)
end

-- true, or false and the first failure.
function Replicas:step(command, ...)
  for worker, answer in pairs(self:everywhere(command, ...)) do
    if not answer[1] or not answer[2] then
      local why = answer[1] and answer[3] or answer[2]
      return false, ("at worker %d: %s"):format(worker, why or "it did not come to an end")
    end
  end
  return true
end

-- The number of the generation that the other workers have of it now.
local function number_there(old)
  return old and old.opened and old.number or nil
end

function Replicas:load()
  local ok, message = Generation.load(self)
  if ok and self.spread then
    self.opened = true
    ok, message = self:step("open", self.path, self.sources)
  end
  return ok, message
end

function Replicas:validate(old)
  local ok, message = Generation.validate(self, old)
  if ok then
    ok, message = self:step("validate", number_there(old))
  end
  return ok, message
end

function Replicas:bind(old)
  local ok, message, status = Generation.bind(self, old)
  if ok then
    ok, message = Generation.ready(self)
  end
  if ok then
    ok, message = self:step("bind", number_there(old))
  end
  return ok, message, status
end

-- All are ready, so that only a lack of memory could still keep one from it.
function Replicas:commit()
  local ok, message = Generation.commit(self)
  if not ok then
    return false, message
  end
  local all, why = self:step "commit"
  if not all then
    log.error(("%s: generation %d: %s; the other workers serve its clients"):format(self.path, self.number, why))
  end
  return true
end

function Replicas:restore()
  Generation.restore(self)
  self:everywhere "restore"
end

function Replicas:clients()
  local count = Generation.clients(self)
  for _, answer in pairs(self:everywhere "clients") do
    count = count + (answer[1] and answer[2] or 0)
  end
  return count
end

function Replicas:memory()
  local bytes = Generation.memory(self)
  for _, answer in pairs(self:everywhere "memory") do
    bytes = bytes + (answer[1] and answer[2] or 0)
  end
  return bytes
end

-- Each worker's own share is told as well.
function Replicas:status()
  local list, by_name = Generation.status(self), {}
  for _, server in ipairs(list) do
    by_name[server.name] = server
  end
  for worker, answer in pairs(self:everywhere "status") do
    for _, there in ipairs(answer[1] and answer[2] or {}) do
      local server = there.state ~= "elsewhere" and by_name[there.name]
      if server then
        server.workers = server.workers or { server.connections }
        server.workers[worker] = there.connections
        server.connections = server.connections + there.connections
      end
    end
  end
  return list
end

function Replicas:holders()
  local list = Generation.holders(self)
  for _, answer in pairs(self:everywhere "holders") do
    local there = answer[1] and answer[2] or {}
    table.move(there, 1, #there, #list + 1, list)
  end
  return list
end

-- At the same time everywhere.
function Replicas:serve_out(drain)
  local others = pipe.spawn(self.everywhere, self, "retire", drain)
  Generation.serve_out(self, drain)
  others:wait()
end

function Replicas:evict()
  local others = pipe.spawn(self.everywhere, self, "evict")
  Generation.evict(self)
  others:wait()
end

function Replicas:stopping(ms)
  local remote = Generation.stopping(self, ms)
  return pipe.spawn(function()
    local others = pipe.spawn(self.everywhere, self, "stopping", ms)
    if remote then
      remote:wait()
    end
    others:wait()
  end)
end

function Replicas:close()
  if not self.closed:is_set() then
    self:everywhere "close"
    Generation.close(self)
  end
end

return M
