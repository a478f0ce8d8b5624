-- SPDX-License-Identifier: MIT
-- What the reports have in common: a record as texts.
local source_error = require "pipehost.source_error"

local M = {}

---@param record pipehost.runner.record
---@return string
function M.label(record)
  return record.name and record.file .. ": " .. record.name or record.file
end

---What went wrong, with its place, and the frames if there is more than one.
---@param record pipehost.runner.record
---@return string
function M.failure(record)
  local failure = record.failure or { message = "failed" }
  local text = failure.message
  if failure.place and text:sub(1, #failure.place + 1) ~= failure.place .. ":" then
    text = failure.place .. ": " .. text
  end
  if not record.name then -- the file does not load
    text = source_error.explain_file(text)
  end
  if record.run then
    text = ("%s\nin run %d of this test"):format(text, record.run)
  end
  if failure.trace then
    text = text .. "\nstack traceback:\n  " .. table.concat(failure.trace, "\n  ")
  end
  return text
end

---The text with something before each line.
---@param text string
---@param before string
---@return string
function M.indented(text, before)
  return before .. text:gsub("\n$", ""):gsub("\n", "\n" .. before)
end

---"3 passed, 1 failed, 2 skipped"
---@param total table
---@return string
function M.counts(total)
  return ("%d passed, %d failed%s"):format(total.passed, total.failed,
    total.skipped > 0 and (", %d skipped"):format(total.skipped) or "")
end

---What was not run, and why; nil when everything was.
---@param run pipehost.runner.run
---@return string?
function M.not_run(run)
  if not run.stopped then
    return nil
  end
  local parts = {}
  if run.left > 0 then
    parts[1] = ("%d test%s of files that were begun"):format(run.left, run.left == 1 and "" or "s")
  end
  if run.files_left > 0 then
    parts[#parts + 1] = ("%d file%s"):format(run.files_left, run.files_left == 1 and "" or "s")
  end
  return ("%s; not run: %s"):format(run.stopped, #parts > 0 and table.concat(parts, " and ") or "nothing")
end

return M
