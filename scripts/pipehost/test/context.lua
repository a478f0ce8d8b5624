-- SPDX-License-Identifier: MIT
-- What belongs to the test that runs: its deadline and what its end undoes. While
-- a file is loaded, and between its tests, that is the file.
local failure = require "pipehost.test.failure"
local pipe = require "pipehost.pipe"

---@class pipehost.test.context
---@field name? string of the test, nil: the file
---@field deadline number
---@field ms number what the deadline was set to
---@field late boolean the deadline has come
---@field paused? number since when it stands still
---@field changed userdata an event: the deadline was moved
---@field cleanups { fn: function, place?: string }[]
---@field checks function[] at the end of a test that has not failed
---@field programs pipehost.test.program[] that it has started
local Context = {}
Context.__index = Context

local M = {}

local function new(name, ms)
  return setmetatable({
    name = name, ms = ms, deadline = pipe.now() + ms, late = false, changed = pipe.event(), cleanups = {}, checks = {},
    programs = {},
  }, Context)
end

---What is the same for all tests of the file: `file` its path, `folder` where it
---lies, `temporary` for folders, `library`, `seed`, `channel` to the runner.
M.settings = { file = "", folder = "." }

local of_file
local current

---@param settings table
---@param ms number
function M.open_file(settings, ms)
  M.settings = settings
  of_file = new(nil, ms)
  current = of_file
  return of_file
end

---@param name string
---@param ms number
function M.open_test(name, ms)
  current = new(name, ms)
  return current
end

function M.close_test()
  current = of_file
end

---@return pipehost.test.context
function M.current()
  if not current then
    error("this is for test files: run them by 'pipehost test'", 3)
  end
  return current
end

---Milliseconds to the deadline; nil while it stands still.
---@return number?
function Context:left()
  return not self.paused and math.max(self.deadline - pipe.now(), 0) or nil
end

---The deadline stands still until the result is closed.
function Context:pause()
  self.paused = pipe.now()
  self.changed:set()
  return setmetatable({}, {
    __close = function()
      self.deadline = self.deadline + pipe.now() - self.paused
      self.paused = nil
      self.changed:set()
    end,
  })
end

---Has fn called at the end, the last one first.
---@param fn function
function Context:defer(fn)
  self.cleanups[#self.cleanups + 1] = { fn = fn, place = failure.here(M.settings.file) }
end

return M
