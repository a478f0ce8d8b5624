-- SPDX-License-Identifier: MIT
-- The locks of t.exclusive: a name belongs to one child at a time, in the order in
-- which they asked.
local pipe = require "pipehost.pipe"

---@class pipehost.runner.locks
---@field queues table<string, { owner: any, granted: userdata }[]> the first has the lock
local Locks = {}
Locks.__index = Locks

local M = {}

---@return pipehost.runner.locks
function M.new()
  return setmetatable({ queues = {} }, Locks)
end

-- As Windows takes names, large and small letters are the same.
local function key_of(name)
  return name:lower()
end

local function remove(queue, entry)
  for i, other in ipairs(queue) do
    if other == entry then
      table.remove(queue, i)
      return
    end
  end
end

---Waits until the owner has the lock. Two that wait for each other do so at most
---`ms`.
---@param name string
---@param owner any
---@param ms number
---@return boolean it has
function Locks:take(name, owner, ms)
  local key = key_of(name)
  local queue = self.queues[key] or {}
  self.queues[key] = queue
  local entry = { owner = owner, granted = pipe.event() }
  queue[#queue + 1] = entry
  if #queue == 1 or entry.granted:wait(ms) then
    return true
  end
  remove(queue, entry)
  return false
end

local function pass_on(queue)
  table.remove(queue, 1)
  if queue[1] then
    queue[1].granted:set()
  end
end

---@param name string
---@param owner any
function Locks:give(name, owner)
  local queue = self.queues[key_of(name)] or {}
  if queue[1] and queue[1].owner == owner then
    pass_on(queue)
  end
end

---All that an owner has or waits for, when it has ended.
---@param owner any
function Locks:give_all(owner)
  for _, queue in pairs(self.queues) do
    for i = #queue, 2, -1 do
      if queue[i].owner == owner then
        table.remove(queue, i)
      end
    end
    if queue[1] and queue[1].owner == owner then
      pass_on(queue)
    end
  end
end

return M
