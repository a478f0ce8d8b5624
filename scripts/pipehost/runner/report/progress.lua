-- SPDX-License-Identifier: MIT
-- A line at the bottom of a terminal while tests run: how far it is, and which
-- ones take their time.
local pipe = require "pipehost.pipe"

local WIDTH = 79
local SLOW_MS = 1000 -- from then on a test's time is shown

---@class pipehost.runner.progress
---@field running table<string, { name: string, since: number }> by file
local Progress = {}
Progress.__index = Progress

local M = {}

---@param files integer
function M.new(files)
  return setmetatable({ files = files, running = {}, count = 0, failed = 0, seen = {}, shown = false }, Progress)
end

function Progress:begin_test(file, name)
  self.running[file] = { name = name, since = pipe.now() }
end

---Takes the line away, before others are printed.
function Progress:clear()
  if self.shown then
    io.stderr:write("\r\27[K")
    self.shown = false
  end
end

function Progress:record(record)
  self.running[record.file] = nil
  self.count = self.count + 1
  self.failed = self.failed + (record.outcome == "failed" and 1 or 0)
end

function Progress:tick()
  local parts, now = {}, pipe.now()
  for file, test in pairs(self.running) do
    local ms = now - test.since
    parts[#parts + 1] = ("%s: %s%s"):format(file:match "[^/\\]*$", test.name,
      ms > SLOW_MS and (" %.0f s"):format(ms / 1000) or "")
  end
  table.sort(parts)
  local line = ("%d done%s | %s"):format(self.count, self.failed > 0 and (", %d failed"):format(self.failed) or "",
    table.concat(parts, " | "))
  io.stderr:write("\r\27[K", line:sub(1, WIDTH))
  io.stderr:flush()
  self.shown = true
end

return M
