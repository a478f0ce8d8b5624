-- SPDX-License-Identifier: MIT
-- pipehost.handshake: a client's conversation as named steps, each with its
-- deadline; and pipehost.client for direct style.
local core = require "pipehost.core"
local hex = require "pipehost.hex"
local pipe = require "pipehost.pipe"

---@class pipehost.step
---@field kind string
---@field name string
---@field timeout? number ms

local steps = {}

local function new_step(kind, options, names, fields)
  options = options or {}
  core.check_options(options, names, "steps." .. kind)
  for key, value in pairs(options) do
    fields[key] = value
  end
  fields.kind = kind
  fields.name = fields.name or kind
  return fields
end

---Sends one message.
---@param data string
---@param options? { name?: string, timeout?: number }
---@return pipehost.step
function steps.send(data, options)
  if type(data) ~= "string" then
    error("steps.send: a string is sent, this is a " .. type(data), 2)
  end
  return new_step("send", options, { "name", "timeout" }, { data = data })
end

---Reads one message, which is to be `what`: a struct (its values become the
---capture) or a literal.
---@param what pipehost.struct | string
---@param options? { name?: string, timeout?: number, as?: string }
---@return pipehost.step
function steps.expect(what, options)
  local is_struct = type(what) == "table" and what.unpack ~= nil
  if not is_struct and type(what) ~= "string" then
    error("steps.expect: a struct or a string is expected, this is a " .. type(what), 2)
  end
  return new_step("expect", options, { "name", "timeout", "as" }, { what = what })
end

---Waits until the other end closes.
---@param options? { name?: string, timeout?: number }
---@return pipehost.step
function steps.expect_close(options)
  return new_step("expect_close", options, { "name", "timeout" }, {})
end

---Closes our end.
---@param options? { name?: string }
---@return pipehost.step
function steps.close(options)
  return new_step("close", options, { "name" }, {})
end

-- Playing ---------------------------------------------------------------------

-- One run of the steps on an open pipe.
local function new_play(conn, options)
  return { conn = conn, captures = {}, transcript = {}, trace = options.trace, timeout = options.timeout }
end

local function note(play, direction, bytes)
  local entry = { direction = direction, bytes = bytes }
  play.transcript[#play.transcript + 1] = entry
  if play.trace then
    play.trace(direction, bytes)
  end
end

local function protocol(expected, got)
  local nothing, code, info = core.failure("protocol", "expect", nil,
    ("expected %s, got %s"):format(expected, hex.line(got)))
  info.expected, info.got = expected, got
  return nothing, code, info
end

local play_step = {}

function play_step.send(play, step, ms)
  note(play, ">", step.data)
  return play.conn:send(step.data, ms)
end

function play_step.expect(play, step, ms)
  local message, code, info = play.conn:receive(ms)
  if message == nil then
    return nil, code, info
  end
  note(play, "<", message)
  local value = message
  if type(step.what) == "string" then
    if message ~= step.what then
      return protocol(hex.line(step.what), message)
    end
  else
    local why
    value, code, why = step.what:unpack(message)
    if not value then
      return protocol(("%s (%s)"):format(step.what, why.message), message)
    end
  end
  if step.as then
    play.captures[step.as] = value
  end
  return true
end

function play_step.expect_close(play, _, ms)
  local message, code, info = play.conn:receive(ms)
  if message then
    note(play, "<", message)
    return protocol("the other end to close", message)
  elseif code == "closed" then
    return true
  end
  return nil, code, info
end

function play_step.close(play)
  return play.conn:close()
end

local function play_all(play, list)
  for i, step in ipairs(list) do
    local ok, code, info = play_step[step.kind](play, step, step.timeout or play.timeout)
    if not ok then
      info.step, info.transcript = { index = i, name = step.name }, play.transcript
      info.message = ("step %d (%s): %s"):format(i, step.name, info.message)
      return nil, code, info
    end
  end
  return play.captures
end

-- Handshake -------------------------------------------------------------------

local option_names = { "pipe", "timeout", "steps", "retry", "mode", "trace" }
local retry_names = { "times", "backoff" }
local may_retry = { absent = true, busy = true, timeout = true }

local function check(options)
  if type(options) ~= "table" then
    error("pipehost.handshake: takes a table of options", 3)
  end
  core.check_options(options, option_names, "pipehost.handshake")
  if options.retry then
    core.check_options(options.retry, retry_names, "pipehost.handshake retry")
  end
  if type(options.pipe) ~= "string" then
    error("pipehost.handshake: option 'pipe' is the pipe's name", 3)
  end
  if type(options.steps) ~= "table" or #options.steps == 0 then
    error("pipehost.handshake: option 'steps' is a list of steps", 3)
  end
  for i, step in ipairs(options.steps) do
    if type(step) ~= "table" or not play_step[step.kind] then
      error(("pipehost.handshake: step %d is no step; use pipehost.steps"):format(i), 3)
    end
  end
end

local function attempt(options)
  local conn <close>, code, info = pipe.open(options.pipe, { mode = options.mode, timeout = options.timeout })
  if not conn then
    info.step = { index = 0, name = "open" }
    return nil, code, info
  end
  return play_all(new_play(conn, options), options.steps)
end

---Opens the pipe and plays the steps. On failure info has step, expected, got
---and transcript. Retried are absent, busy and timeout.
---@param options { pipe: string, steps: pipehost.step[], timeout?: number, mode?: string, retry?: { times?: integer, backoff?: number }, trace?: fun(direction: string, bytes: string) }
---@return table? captures
---@return string? code
---@return table? info
local function run(options)
  check(options)
  local retry = options.retry or {}
  local pause = retry.backoff or 200
  local captures, code, info
  for try = 0, retry.times or 0 do
    if try > 0 then
      pipe.sleep(pause)
      pause = pause * 2
    end
    captures, code, info = attempt(options)
    if captures or not may_retry[code] then
      break
    end
  end
  return captures, code, info
end

---Opens the pipe, calls fn(pipe) and closes it whatever happens.
---@param name string
---@param options table as for pipe.open
---@param fn fun(pipe: userdata): ...
---@return any ... fn's results, or nil, code, info
local function client(name, options, fn)
  if type(fn) ~= "function" then
    error("pipehost.client(name, options, fn): fn is a function", 2)
  end
  local conn <close>, code, info = pipe.open(name, options)
  if not conn then
    return nil, code, info
  end
  local function closing(...)
    conn:close()
    return ...
  end
  return closing(fn(conn))
end

return { run = run, steps = steps, client = client }
