-- SPDX-License-Identifier: MIT
-- TAP, version 14. The plan comes last, since the number of tests is known then.
local lines = require "pipehost.runner.report.lines"

---@class pipehost.runner.tap
---@field count integer
local Tap = {}
Tap.__index = Tap

local M = {}

function M.new()
  return setmetatable({ count = 0 }, Tap)
end

-- A # begins a directive.
local function escaped(text)
  return (text:gsub("\\", "\\\\"):gsub("#", "\\#"):gsub("\n", " "))
end

-- A block of YAML: the texts stand as they are, indented, in "|" scalars, which
-- have no escapes; what may not stand there is shown as \xNN.
local function scalar(key, text)
  text = text:gsub("[%z\1-\8\11-\31\127]", function(c)
    return ("\\x%02x"):format(c:byte())
  end)
  if not utf8.len(text) then
    text = text:gsub("[\128-\255]", function(c)
      return ("\\x%02x"):format(c:byte())
    end)
  end
  return ("  %s: |2\n%s"):format(key, lines.indented(text, "    "))
end

function Tap.begin()
  print "TAP version 14"
end

---@param record pipehost.runner.record
function Tap:record(record)
  self.count = self.count + 1
  print(("%sok %d - %s%s"):format(record.outcome == "failed" and "not " or "", self.count,
    escaped(lines.label(record)), record.reason and " # SKIP " .. escaped(record.reason) or ""))
  if record.outcome == "failed" then
    print "  ---"
    print(scalar("message", lines.failure(record)))
    print(("  duration_ms: %.0f"):format(record.ms))
    if record.output and record.output ~= "" then
      print(scalar("output", record.output))
    end
    print "  ..."
  end
end

---@param run pipehost.runner.run
function Tap:finish(run)
  print("1.." .. self.count)
  local not_run = lines.not_run(run)
  if not_run then
    print("# " .. not_run)
  end
  print("# seed " .. run.args.seed)
  print("# " .. lines.counts(run.total))
end

return M
