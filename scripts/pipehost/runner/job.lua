-- SPDX-License-Identifier: MIT
-- One test file: its tests, in a process that is replaced when it is lost.
local children = require "pipehost.runner.child"
local growth = require "pipehost.runner.growth"
local order = require "pipehost.runner.order"
local pipe = require "pipehost.pipe"

local SILENT_MS = 5000 -- beyond its deadline, for a process that does nothing
local ENDING_MS = 40000 -- for a test to end after its deadline, with all its cleanup
local LOCK_FACTOR = 10 -- deadlines of a test that it may wait for a lock
local CLOSE_MS = 30000 -- for what belongs to the file

---@class pipehost.runner.record
---@field file string
---@field name? string of the test; nil: the file itself
---@field outcome "passed" | "failed" | "skipped"
---@field failure? pipehost.test.failure
---@field reason? string why it was skipped
---@field ms number
---@field output? string what was printed meanwhile
---@field run? integer of several: the one that failed

---@class pipehost.runner.job
---@field run table the run it belongs to: args, locks, report, record, stopped
---@field file string
---@field child? pipehost.runner.child
local Job = {}
Job.__index = Job

local M = {}

---@param run table
---@param file string
---@return pipehost.runner.job
function M.new(run, file)
  return setmetatable({ run = run, file = file, output = "" }, Job)
end

function Job:record(fields)
  fields.file = self.file
  fields.ms = fields.ms or 0
  fields.output = fields.output or self.output
  self.output = ""
  self.run:record(fields)
end

function Job:fail_file(message, place, output)
  self:record { outcome = "failed", failure = { message = message, place = place }, output = output }
end

-- The child -------------------------------------------------------------------------

function Job:drop_child()
  if self.child then
    self.run.locks:give_all(self.child)
    self.child:close()
    self.child = nil
  end
end

-- The next frame that is not about a lock. While a lock is waited for, nobody's
-- time is up.
function Job:receive(ms)
  while true do
    local frame, code = self.child.channel:receive(ms)
    if not frame then
      return nil, code
    elseif frame.kind == "lock" then
      local granted = self.run.locks:take(frame.name, self.child, LOCK_FACTOR * self.run.args.timeout)
      self.child.channel:send { granted = granted }
    elseif frame.kind == "unlock" then
      self.run.locks:give(frame.name, self.child)
    else
      return frame
    end
  end
end

-- Starts a child and has it load the file. Gives its tests, or nil when that has
-- been reported.
function Job:load()
  local args = self.run.args
  local child, message, output = children.start(self.file, args)
  if not child then
    return self:fail_file(message, nil, output)
  end
  self.child = child
  local frame = self:receive(args.timeout + ENDING_MS)
  self.output = child:take_output()
  if not frame then
    self:fail_file(child:tell_end "while the file was loaded")
  elseif frame.kind == "refused" then
    self.sources = frame.sources
    self:record { outcome = frame.skipped and "skipped" or "failed", reason = frame.skipped, failure = frame.failure }
  else
    return frame.tests
  end
  self:drop_child()
end

-- Tests -----------------------------------------------------------------------------

function Job:wanted(tests)
  local list = {}
  for _, test in ipairs(tests) do
    if self.run:wants(self.file, test.name) then
      list[#list + 1] = test
    end
  end
  return self.run.args.shuffle and order.shuffled(list, self.run.args.seed, self.file) or list
end

-- Until the result is there, or the child is lost.
function Job:await_result()
  local frame, code = self:receive(self.run.args.timeout + SILENT_MS)
  if frame and frame.kind == "late" then
    frame, code = self:receive(ENDING_MS)
  end
  return frame, code
end

local function lost(self, test, code)
  local why
  if code == "timeout" then
    why = "the process did not come back at the test's deadline: it hangs in a call that is not interrupted, "
      .. "such as os.execute"
  else
    why = self.child:tell_end "in this test"
  end
  return {
    outcome = "failed", failure = { message = why, place = ("%s:%d"):format(self.file, test.line) },
    ms = 0, lost = true,
  }
end

-- Runs it once. A lost child makes a failure of it.
function Job:run_once(test)
  local begin = pipe.now()
  local ok = self.child.channel:send { run = test.name }
  local result, code
  if ok then
    result, code = self:await_result()
  end
  if not result then
    result = lost(self, test, code)
    result.ms = pipe.now() - begin
  end
  result.output = self.output .. self.child:take_output()
  self.output = ""
  return result
end

function Job:run_test(test)
  local times, watch = self.run.args.times, growth.new()
  local result
  for i = 1, times do
    result = self:run_once(test)
    if result.outcome == "passed" then
      watch:add(result.memory)
    end
    if result.outcome ~= "passed" or self.run.stopped then
      result.run = times > 1 and i or nil
      break
    end
  end
  if result.outcome == "passed" and watch:message() then
    result.outcome = "failed"
    result.failure = { message = watch:message(), place = ("%s:%d"):format(self.file, test.line) }
  end
  result.name, result.kind, result.memory = test.name, nil, nil
  self:record(result)
  if result.lost then
    self:drop_child()
  end
end

-- The closing record tells that nothing was cut short.
function Job:finish()
  local frame
  if self.child.channel:send { quit = true } then
    frame = self:receive(CLOSE_MS)
  end
  if not frame then
    local message = self.child:tell_end "without its closing record"
    return self:fail_file(message, nil, self.child:take_output())
  end
  self.sources = frame.sources
  local status, signal = self.child.process:wait(CLOSE_MS)
  local output = self.child:take_output()
  if frame.failure then
    self:fail_file("at the end of the file: " .. frame.failure.message, frame.failure.place, output)
  end
  if status ~= 0 or math.type(signal) then
    self:fail_file(self.child:tell_end "after its last test", nil, output)
  end
end

---Runs the file's tests, those that are wanted.
function Job:main()
  local tests = self:load()
  local left = tests and self:wanted(tests) or {}
  while left[1] and not self.run.stopped do
    if not self.child and not self:load() then
      return
    end
    local test = table.remove(left, 1)
    self.run:begin_test(self.file, test.name)
    self:run_test(test)
  end
  self.run.left = self.run.left + #left
  if self.child then
    self:finish()
    self:drop_child()
  end
end

---The names of the file's tests.
---@return string[]
function Job:list()
  local names = {}
  for i, test in ipairs(self:wanted(self:load() or {})) do
    names[i] = test.name
  end
  self:drop_child()
  return names
end

return M
