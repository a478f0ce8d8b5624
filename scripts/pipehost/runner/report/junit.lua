-- SPDX-License-Identifier: MIT
-- JUnit's XML, as continuous integration reads it: one suite for each file.
local files = require "pipehost.files"
local lines = require "pipehost.runner.report.lines"

---@class pipehost.runner.junit
---@field path string
---@field suites table<string, pipehost.runner.record[]>
---@field files string[] in the order of their first record
local Junit = {}
Junit.__index = Junit

local M = {}

---@param path string
function M.new(path)
  return setmetatable({ path = path, suites = {}, files = {} }, Junit)
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["\n"] = "&#10;" }

local function as_hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("\\x%02x"):format(c:byte())
  end))
end

-- XML has no way at all to say most control characters, nor bytes that are no
-- text: they are shown as \xNN.
local function clean(text)
  local parts, at = {}, 1
  while at <= #text do
    local length, bad = utf8.len(text, at)
    local stop = length and #text or bad - 1
    parts[#parts + 1] = text:sub(at, stop)
    if not length then
      parts[#parts + 1] = as_hex(text:sub(bad, bad))
      stop = bad
    end
    at = stop + 1
  end
  return (table.concat(parts):gsub("[%z\1-\8\11\12\14-\31\127]", as_hex):gsub("\r", as_hex)
    :gsub("\xEF\xBF[\xBE\xBF]", as_hex):gsub("\xED[\xA0-\xBF].", as_hex))
end

local function body(text)
  return (clean(text):gsub("[&<>]", entities))
end

local function attribute(text)
  return (clean(text):gsub('[&<>"\n]', entities))
end

local function seconds(ms)
  return ("%.3f"):format(ms / 1000)
end

---@param record pipehost.runner.record
function Junit:record(record)
  local suite = self.suites[record.file]
  if not suite then
    suite = {}
    self.suites[record.file] = suite
    self.files[#self.files + 1] = record.file
  end
  suite[#suite + 1] = record
end

local function case_of(record)
  local parts = {
    ('    <testcase classname="%s" name="%s" time="%s">'):format(attribute(record.file),
      attribute(record.name or "(the file)"), seconds(record.ms)),
  }
  if record.outcome == "failed" then
    local message = record.failure and record.failure.message or "failed"
    parts[#parts + 1] = ('      <failure message="%s">%s</failure>'):format(
      attribute(message:match "[^\n]*"), body(lines.failure(record)))
  elseif record.outcome == "skipped" then
    parts[#parts + 1] = ('      <skipped message="%s"/>'):format(attribute(record.reason))
  end
  if record.output and record.output ~= "" then
    parts[#parts + 1] = ("      <system-out>%s</system-out>"):format(body(record.output))
  end
  parts[#parts + 1] = "    </testcase>"
  return table.concat(parts, "\n")
end

local function suite_of(file, records)
  local count, ms, cases = { passed = 0, failed = 0, skipped = 0 }, 0, {}
  for i, record in ipairs(records) do
    count[record.outcome] = count[record.outcome] + 1
    ms = ms + record.ms
    cases[i] = case_of(record)
  end
  return ('  <testsuite name="%s" tests="%d" failures="%d" errors="0" skipped="%d" time="%s">\n%s\n  </testsuite>')
    :format(attribute(file), #records, count.failed, count.skipped, seconds(ms), table.concat(cases, "\n"))
end

---@param run pipehost.runner.run
function Junit:finish(run)
  local parts = { '<?xml version="1.0" encoding="UTF-8"?>', '<testsuites name="pipehost">' }
  for _, file in ipairs(self.files) do
    parts[#parts + 1] = suite_of(file, self.suites[file])
  end
  parts[#parts + 1] = "</testsuites>\n"
  local ok, message = files.write(self.path, table.concat(parts, "\n"))
  if not ok then
    io.stderr:write("pipehost: --junit: ", message, "\n")
    run.unreported = true
  end
end

return M
