-- SPDX-License-Identifier: MIT
-- Lines for people, and for programs that look for "not ok".
local lines = require "pipehost.runner.report.lines"

---@class pipehost.runner.text
---@field verbose? boolean shows what passed tests print, and how long they took
local Text = {}
Text.__index = Text

local M = {}

---@param verbose? boolean
function M.new(verbose)
  return setmetatable({ verbose = verbose }, Text)
end

local function output_of(record)
  if record.output and record.output ~= "" then
    print("  output:\n" .. lines.indented(record.output, "  | "))
  end
end

---@param record pipehost.runner.record
function Text:record(record)
  local label = lines.label(record)
  local time = self.verbose and (" (%.0f ms)"):format(record.ms) or ""
  if record.outcome == "passed" then
    print("ok - " .. label .. time)
  elseif record.outcome == "skipped" then
    print(("skip - %s: %s"):format(label, record.reason))
  else
    print(("not ok - %s%s\n%s"):format(label, time, lines.indented(lines.failure(record), "  ")))
  end
  if record.outcome == "failed" or self.verbose then
    output_of(record)
  end
end

---@param run pipehost.runner.run
function Text.finish(_, run)
  local not_run = lines.not_run(run)
  if not_run then
    print(not_run)
  end
  if run.total.failed > 0 or run.args.shuffle then
    print("seed " .. run.args.seed)
  end
  print(lines.counts(run.total))
end

return M
