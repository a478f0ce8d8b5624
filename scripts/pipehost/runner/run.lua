-- SPDX-License-Identifier: MIT
-- A run of test files, several side by side.
local core = require "pipehost.core"
local jobs = require "pipehost.runner.job"
local locks = require "pipehost.runner.locks"
local pipe = require "pipehost.pipe"

local TICK_MS = 200

---@class pipehost.runner.run
---@field args table of the command line
---@field report table where records go
---@field locks pipehost.runner.locks
---@field total { passed: integer, failed: integer, skipped: integer }
---@field failed_files table<string, true>
---@field sources table<string, string[]> of each file
---@field stopped? string why no further test is begun
---@field left integer tests that were not begun
local Run = {}
Run.__index = Run

local M = {}

---@param args table
---@param report table
---@return pipehost.runner.run
function M.new(args, report)
  return setmetatable({
    args = args, report = report, locks = locks.new(), total = { passed = 0, failed = 0, skipped = 0 },
    failed_files = {}, sources = {}, left = 0, working = {},
  }, Run)
end

function Run:wants(file, name)
  return not self.args.filter or (file .. ": " .. name):find(self.args.filter, 1, true) ~= nil
end

function Run:begin_test(file, name)
  self.report:begin_test(file, name)
end

function Run:record(record)
  self.total[record.outcome] = self.total[record.outcome] + 1
  if record.outcome == "failed" then
    self.failed_files[record.file] = true
    if self.args.fail_fast then
      self:stop "a test has failed (--fail-fast)"
    end
  end
  self.report:record(record)
end

---No further test is begun.
---@param why string
function Run:stop(why)
  self.stopped = self.stopped or why
end

-- Whatever goes wrong in the runner itself is a failure, and not the end of it.
function Run:one_file(file)
  local job = jobs.new(self, file)
  self.working[job] = true
  local ok, message = xpcall(job.main, debug.traceback, job)
  if not ok and not self.interrupted then
    self:record { file = file, outcome = "failed", failure = { message = message }, ms = 0 }
  end
  pcall(job.drop_child, job)
  self.sources[file] = job.sources
  self.working[job] = nil
end

function Run:worker(queue)
  while queue[1] and not self.stopped do
    self:one_file(table.remove(queue, 1))
  end
end

-- Ends at a signal, at once: the children are killed.
function Run:watch_signal()
  core.host.wait_signal()
  self.interrupted = true
  self:stop "interrupted"
  for job in pairs(self.working) do
    if job.child then
      job.child.process:kill()
    end
  end
end

function Run:tick()
  while true do
    pipe.sleep(TICK_MS)
    self.report:tick()
  end
end

---Runs the files; returns when all is reported.
---@param files string[]
function Run:main(files)
  local queue, workers = table.move(files, 1, #files, 1, {}), {}
  local signal = pipe.spawn(self.watch_signal, self)
  local tick = pipe.spawn(self.tick, self)
  self.report:begin(self.args)
  for i = 1, math.min(self.args.jobs, #files) do
    workers[i] = pipe.spawn(self.worker, self, queue)
  end
  if workers[1] then
    pipe.wait_all(workers)
  end
  signal:cancel()
  tick:cancel()
  self.files_left = #queue
  self.report:finish(self)
end

---The names of all tests: file -> names.
---@param files string[]
---@return { file: string, names: string[] }[]
function Run:list(files)
  local list = {}
  for i, file in ipairs(files) do
    list[i] = { file = file, names = jobs.new(self, file):list() }
  end
  return list
end

return M
