-- SPDX-License-Identifier: MIT
-- t.spawn: the program under test, with what it prints.
local context = require "pipehost.test.context"
local core = require "pipehost.core"
local dependencies = require "pipehost.test.dependencies"
local misuse = require "pipehost.misuse"
local output = require "pipehost.test.output"

local DRAIN_MS = 2000 -- for the rest of the output of a program that has ended
local GONE_MS = 5000 -- for its tree to end
local STORY_MS = 200 -- for its end, and what it says to that, when the test has failed

---@class pipehost.test.program
---@field pid integer
---@field stdin userdata a pipe
---@field stdout pipehost.test.output
---@field stderr? pipehost.test.output
---@field process userdata
---@field title string for messages
---@field suspect boolean it may be why the test has failed
---@field told boolean a failure says already how it is
---@field killed boolean by the test
local Program = {}
Program.__index = Program

local M = {}

local option_names = { "env", "cwd", "stdin", "stderr" }

-- { NAME = "value", OTHER = false } as core.process takes it.
local function environment(given)
  if given == nil then
    return nil
  end
  local list = {}
  for name, value in pairs(given) do
    if type(name) ~= "string" or type(value) ~= "string" and value ~= false then
      misuse("t.spawn: option 'env' is a table of names and texts; false removes a variable")
    end
    list[#list + 1] = value and name .. "=" .. value or name
  end
  table.sort(list)
  return list
end

local function check(options)
  if type(options) ~= "table" or type(options[1]) ~= "string" then
    misuse "t.spawn: takes a table: the program, its arguments, and options"
  end
  local named = {}
  for key, value in pairs(options) do
    if math.type(key) ~= "integer" then
      named[key] = value
    end
  end
  core.check_options(named, option_names, "t.spawn")
end

local function watch_files(options)
  for _, word in ipairs(options) do
    dependencies.add(options.cwd and options.cwd .. "/" .. word or word)
  end
end

function Program:close()
  self.process:kill()
  self.process:gone(GONE_MS)
  for _, out in ipairs { self.stdout, self.stderr } do
    out:close()
  end
  if self.stdin then
    self.stdin:close()
  end
  self.process:close()
end

---Starts a program; it ends with the test, with all that it has started.
---@param options table program, arguments; env, cwd, stdin, stderr
---@return pipehost.test.program? nil, code, info where it can't be started
function M.start(options)
  local of = context.current()
  check(options)
  local process, code, info = core.process {
    env = environment(options.env), cwd = options.cwd, stdin = options.stdin, stderr = options.stderr,
    table.unpack(options),
  }
  if not process then
    return nil, code, info
  end
  watch_files(options)
  local self = setmetatable({
    process = process, pid = process.pid, stdin = process.stdin, title = options[1]:match "[^/\\]*$",
    suspect = false, told = false, killed = false,
  }, Program)
  self.stdout = output.new(process.stdout, self)
  self.stderr = process.stderr and output.new(process.stderr, self)
  of.programs[#of.programs + 1] = self
  of:defer(function()
    self:close()
  end)
  return self
end

---How it is, for messages.
function Program:state()
  local status, signal = self.process:wait(0)
  if not status then
    return "it still runs"
  elseif signal then
    return ("signal %d has ended it"):format(signal)
  end
  return ("it has ended with status %d"):format(status)
end

-- What it says on stderr; a pipehost that serves says more there than complaints.
local function complaints(out)
  local text = out.text
  for _, level in ipairs { "info ", "debug" } do
    text = text:gsub("%d%d:%d%d:%d%d%.%d+Z " .. level .. " [^\n]*\n?", "")
  end
  return text
end

---The test has just failed: has the program ended, or complained?
---@param self pipehost.test.program
function M.note(self)
  local out = self.stderr
  self.suspect = self.stdout.ended or out ~= nil and complaints(out) ~= ""
end

---What a failure of the test may come from: an end that is no good one, or what it
---says on stderr. nil where there is no such thing.
---@param self pipehost.test.program
---@return string?
function M.story(self)
  if not self.suspect or self.told or self.killed then
    return nil
  end
  local status = self:wait(STORY_MS)
  local text = complaints(self.stderr or self.stdout)
  if (status or 0) == 0 and (not self.stderr or text == "") then
    return nil
  elseif text == "" then
    return ("%s: %s"):format(self.title, self:state())
  end
  return ("%s: %s, and said:\n%s"):format(self.title, self:state(), output.shown(text))
end

---Waits for what it prints to stdout.
---@param pattern string of Lua
---@param ms? number (5000)
---@return string ... captures, or what matched
function Program:expect(pattern, ms)
  return self.stdout:expect(pattern, ms)
end

---Waits for its end, and for the rest of its output.
---@param ms? number
---@return integer? status
---@return integer | string? signal, or "pending"
function Program:wait(ms)
  local status, signal, info = self.process:wait(ms)
  if status then
    for _, out in ipairs { self.stdout, self.stderr } do
      out:finish(DRAIN_MS)
    end
  end
  return status, signal, info
end

---Asks for its end, and that of all that it has started.
function Program:kill()
  self.killed = true
  self.process:kill()
end

return M
