-- SPDX-License-Identifier: MIT
-- Several reports as one. The line of progress is taken away while others print.
local All = {}
All.__index = All

local M = {}

---@param list table[]
---@param progress? pipehost.runner.progress
function M.new(list, progress)
  return setmetatable({ list = list, progress = progress }, All)
end

-- Each report has the functions that it needs: begin(args), begin_test(file,
-- name), record(record), tick(), finish(run).
local function call(report, name, ...)
  if report[name] then
    report[name](report, ...)
  end
end

for _, name in ipairs { "begin", "record", "finish" } do
  All[name] = function(self, ...)
    if self.progress then
      self.progress:clear()
      call(self.progress, name, ...)
    end
    for _, report in ipairs(self.list) do
      call(report, name, ...)
    end
  end
end

for _, name in ipairs { "begin_test", "tick" } do
  All[name] = function(self, ...)
    if self.progress then
      call(self.progress, name, ...)
    end
  end
end

return M
