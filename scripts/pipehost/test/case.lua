-- SPDX-License-Identifier: MIT
-- Runs one test of a file: setup, the test, teardown, then what undoes it, and a
-- look for what it has left.
local context = require "pipehost.test.context"
local core = require "pipehost.core"
local failure = require "pipehost.test.failure"
local leaks = require "pipehost.test.leaks"
local pipe = require "pipehost.pipe"
local programs = require "pipehost.test.program"
local servers = require "pipehost.server"

local GRACE_MS = 5000 -- for a test to end after its deadline
local CLEANUP_MS = 10000 -- for all that undoes it

local M = {}

---@class pipehost.test.result
---@field outcome "passed" | "failed" | "skipped"
---@field failure? pipehost.test.failure
---@field reason? string why it was skipped
---@field ms number
---@field memory? integer bytes that the file's state holds afterwards

-- A message handler: runs in the coroutine that has failed.
local function handler(of)
  return function(value)
    if type(value) == "table" and value.skipped then
      return value
    end
    -- Now: what closes with the test may be the end of a program.
    for _, program in ipairs(of.programs) do
      programs.note(program)
    end
    local result = failure.of(value, context.settings.file)
    if of.late and result.message == "cancelled" then
      result.message = ("not done after %d ms: it was waiting here"):format(of.ms)
    end
    return result
  end
end

local function place_of(task)
  for _, one in ipairs(core.tasks()) do
    if one.task == task then
      return failure.place_in(one.thread, context.settings.file)
    end
  end
end

---Runs fn as a task for as long as the context's deadline allows.
---@return table? failed a failure, or { skipped = reason }
local function run_bounded(of, fn)
  local task = pipe.spawn(function()
    return xpcall(fn, handler(of))
  end)
  local function await(ms)
    return pcall(task.wait, task, ms)
  end
  while true do
    of.changed:reset()
    pipe.wait_any({ task, of.changed }, of:left())
    local ok, ended, passed, result = await(0)
    if not ok then
      return failure.of_text(ended) -- a limit, which no handler sees
    elseif ended then
      return not passed and result or nil
    elseif of:left() == 0 then
      break
    end
  end
  of.late = true
  if context.settings.channel then
    context.settings.channel:send { kind = "late" }
  end
  task:cancel()
  local ok, ended, passed, result = await(GRACE_MS)
  if not ok then
    return failure.of_text(ended)
  elseif ended and not passed then
    return result
  end
  return {
    message = ("not done after %d ms%s"):format(of.ms, ended and "" or ", and it does not end"),
    place = place_of(task),
  }
end

M.run_bounded = run_bounded

local function run_test(of, tests)
  if tests.setup then
    tests.setup()
  end
  of.set_up = true
  tests[of.name]()
  for _, check in ipairs(of.checks) do
    check()
  end
end

-- A program that has crashed is often why the test has failed.
local function add_stories(of, found)
  for _, program in ipairs(of.programs) do
    local ok, story = pcall(programs.story, program)
    if ok and story then
      found.message = found.message .. "\n" .. story
    end
  end
end

-- Each runs, whatever the others do; the first failure counts.
local function undo(of, tests)
  local list, first = of.cleanups, nil
  local function run(fn)
    local found = run_bounded(of, fn)
    first = first or found
  end
  of.late, of.ms, of.deadline = false, CLEANUP_MS, pipe.now() + CLEANUP_MS
  if of.set_up and tests and tests.teardown then
    run(tests.teardown)
  end
  while #list > 0 do
    run(table.remove(list).fn)
  end
  return first
end

---Undoes what belongs to the file itself.
---@return pipehost.test.failure?
function M.close_file(of)
  return undo(of)
end

-- Luck that can be had again: the same numbers for a test, whatever ran before.
local function seed_random(name)
  local seed = context.settings.seed
  for i = 1, #name do
    seed = (seed * 31 + name:byte(i)) & 0x7fffffff
  end
  math.randomseed(seed)
end

local function result_of(found, ms)
  if not found then
    return { outcome = "passed", ms = ms }
  elseif found.skipped then
    return { outcome = "skipped", reason = found.skipped, ms = ms }
  end
  return { outcome = "failed", failure = found, ms = ms }
end

---@param tests table of the file
---@param name string
---@param ms number deadline
---@return pipehost.test.result
function M.run(tests, name, ms)
  local before, mark = leaks.snapshot(), servers.mark()
  local begin = pipe.now()
  local of = context.open_test(name, ms)
  seed_random(name)
  local found = run_bounded(of, function()
    run_test(of, tests)
  end)
  local ended = pipe.now()
  if found and not found.skipped then
    add_stories(of, found)
  end
  local undone = undo(of, tests)
  found = found or undone
  servers.forget(mark)
  context.close_test()
  if not leaks.settle(before) then
    found = found or leaks.describe(before)
    leaks.cancel_tasks(before)
  end
  local result = result_of(found, ended - begin)
  result.memory = collectgarbage "count" * 1024 // 1 | 0
  return result
end

return M
