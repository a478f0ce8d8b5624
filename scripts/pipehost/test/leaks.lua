-- SPDX-License-Identifier: MIT
-- What a test has left: counted by the host, named by what was noted when it was
-- made.
local core = require "pipehost.core"
local failure = require "pipehost.test.failure"

local M = {}

local SETTLE_TURNS = 200 -- of about a millisecond: closing takes some
local counted = { "pipes", "operations", "listeners", "folders", "processes" }

-- Where each object was made that is still there: a place in the script.
local made = setmetatable({}, { __mode = "k" })
local file = ""

---From now on what is made is noted with its place.
---@param path string the test file
function M.watch(path)
  file = path
  core.watch_made(function(object)
    made[object] = failure.here(file) or false
  end)
end

-- Looking ---------------------------------------------------------------------------

---@class pipehost.test.before
---@field counts table<string, integer>
---@field tasks table<userdata, true>
---@field objects table<userdata, true>

---@return pipehost.test.before
function M.snapshot()
  local before = { counts = core.host.counts(), tasks = {}, objects = setmetatable({}, { __mode = "k" }) }
  for _, one in ipairs(core.tasks()) do
    before.tasks[one.task] = true
  end
  for object in pairs(made) do
    before.objects[object] = true
  end
  return before
end

local function new_tasks(before)
  local list = {}
  for _, one in ipairs(core.tasks()) do
    if not before.tasks[one.task] then
      list[#list + 1] = one
    end
  end
  return list
end

local function is_clean(before)
  local now = core.host.counts()
  for _, key in ipairs(counted) do
    if now[key] > before.counts[key] then
      return false
    end
  end
  return #new_tasks(before) == 0
end

---The collector and the port need some turns until everything is closed.
---@param before pipehost.test.before
---@return boolean nothing is left
function M.settle(before)
  for turn = 1, SETTLE_TURNS do
    collectgarbage()
    collectgarbage()
    core.sleep(turn < 10 and 0 or 1)
    if is_clean(before) then
      return true
    end
  end
  return false
end

-- Telling ---------------------------------------------------------------------------

-- What is over is no leak, even where somebody still holds it.
local function is_over(text)
  return text:find "%(closed%)$" or text:find "%(done%)$"
end

local function tell_tasks(before, left)
  for _, one in ipairs(new_tasks(before)) do
    local waits = failure.place_in(one.thread, file)
    left[#left + 1] = { text = waits and "coroutine that is at " .. waits or "coroutine", place = made[one.task] }
  end
end

local function tell_objects(before, left)
  for object, place in pairs(made) do
    local text = tostring(object)
    if not before.objects[object] and not is_over(text) and not text:find "^task" then
      left[#left + 1] = { text = text, place = place }
    end
  end
end

-- What the host counts and nobody has noted.
local function tell_counts(before, left)
  local now = core.host.counts()
  for _, key in ipairs(counted) do
    if now[key] > before.counts[key] then
      left[#left + 1] = { text = ("%s: %d more than before the test"):format(key, now[key] - before.counts[key]) }
    end
  end
end

-- In the order of the places, as far as they are lines of one file.
local function in_order(a, b)
  local x, y = a.place or "", b.place or ""
  if #x ~= #y then
    return #x < #y
  elseif x ~= y then
    return x < y
  end
  return a.text < b.text
end

---What is left, for people; the place is that of the first thing.
---@param before pipehost.test.before
---@return pipehost.test.failure
function M.describe(before)
  local left, lines = {}, {}
  tell_tasks(before, left)
  tell_objects(before, left)
  if #left == 0 then
    tell_counts(before, left)
  end
  table.sort(left, in_order)
  for i, one in ipairs(left) do
    lines[i] = one.place and ("%s, made at %s"):format(one.text, one.place) or one.text
  end
  return {
    message = "left behind by the test:\n  " .. table.concat(lines, "\n  "),
    place = left[1] and left[1].place or nil,
  }
end

---Ends the coroutines that a test has left.
---@param before pipehost.test.before
function M.cancel_tasks(before)
  for _, one in ipairs(new_tasks(before)) do
    one.task:cancel()
  end
end

return M
