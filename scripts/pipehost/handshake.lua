-- SPDX-License-Identifier: MIT
-- pipehost.handshake: a conversation as named steps, each with its deadline;
-- pipehost.play: the same on a pipe that is open; pipehost.client: direct style.
local core = require "pipehost.core"
local lists = require "pipehost.handshake.list"
local misuse = require "pipehost.misuse"
local pipe = require "pipehost.pipe"
local play = require "pipehost.handshake.play"
local retries = require "pipehost.handshake.retry"
local steps = require("pipehost.handshake.steps").steps

local open_names = { "mode", "wait", "peer", "max_message", "frame" }
local option_names = { "pipe", "steps", "timeout", "deadline", "retry", "trace", table.unpack(open_names) }
local play_names = { "timeout", "deadline", "trace", "captures" }

-- Checks ------------------------------------------------------------------------------

local function is_time(value)
  return value == nil or type(value) == "number" and value >= 0
end

local function check_options(options, names, what)
  if type(options) ~= "table" then
    misuse("%s: options are a table, this is a %s", what, type(options))
  end
  core.check_options(options, names, what)
  for _, name in ipairs { "timeout", "deadline" } do
    if not is_time(options[name]) then
      misuse("%s: option '%s' is a number of milliseconds", what, name)
    end
  end
  if options.trace ~= nil and type(options.trace) ~= "function" then
    misuse("%s: option 'trace' is a function(direction, bytes)", what)
  end
end

local function check_steps(list, what)
  local ok, message = pcall(lists.check, list)
  if not ok then
    misuse(what .. (message:find "^step" and ": " or " ") .. message)
  end
end

-- Handshake ---------------------------------------------------------------------------

-- What is left of the deadline, or less.
local function bounded(ms, deadline)
  local left = deadline and math.max(deadline.at - pipe.now(), 0)
  return left and ms and math.min(ms, left) or left or ms
end

local function attempt(options, deadline)
  local begin = pipe.now()
  local open = { timeout = bounded(options.timeout, deadline) }
  for _, name in ipairs(open_names) do
    open[name] = options[name]
  end
  local conn <close>, code, info = pipe.open(options.pipe, open)
  if not conn then
    info.step = { index = 0, name = "open" }
    return nil, code, info
  end
  -- The values come before the pipe is closed.
  local captures, events, why = play(conn, options.steps, {
    timeout = options.timeout, deadline = deadline, trace = options.trace, begin = begin,
  })
  return captures, events, why
end

---@class pipehost.handshake_options
---@field pipe string
---@field steps pipehost.step[]
---@field timeout? number ms of the open and of each step
---@field deadline? number ms of all of it, further tries included
---@field retry? pipehost.retry
---@field trace? fun(direction: string, bytes: string)
---@field mode? "message" | "byte" and the others as for pipe.open
---@field wait? "exists" | "free" | "no"
---@field peer? "user" | "any"
---@field max_message? integer
---@field frame? "lines" | pipehost.struct | pipehost.frame_options

---Opens the pipe and plays the steps. On failure info has `step`, `expected`, `got`,
---`transcript`, `tries` and, as lines for people, `report`.
---@param options pipehost.handshake_options
---@return table? captures
---@return pipehost.handshake.event[] | string transcript, or the code
---@return table? info
local function run(options)
  check_options(options, option_names, "pipehost.handshake")
  if type(options.pipe) ~= "string" then
    misuse "pipehost.handshake: option 'pipe' is the pipe's name"
  end
  check_steps(options.steps, "pipehost.handshake: option 'steps'")
  local retry = retries.of(options.retry)
  local deadline = options.deadline and { at = pipe.now() + options.deadline, ms = options.deadline }
  while true do
    local captures, events, info = attempt(options, deadline)
    if captures then
      return captures, events
    elseif not retry:again(events, deadline) then
      info.tries = retry.tries
      if retry.tries > 1 then
        info.message = ("%s, after %d tries"):format(info.message, retry.tries)
      end
      return nil, events, info
    end
  end
end

---Plays steps on an open pipe: of a client, a connection of a server, a created
---instance.
---@param conn userdata
---@param list pipehost.step[]
---@param options? { timeout?: number, deadline?: number, trace?: function, captures?: table }
---@return table? captures
---@return pipehost.handshake.event[] | string transcript, or the code
---@return table? info
local function play_on(conn, list, options)
  options = options == nil and {} or options
  check_options(options, play_names, "pipehost.play")
  check_steps(list, "pipehost.play: its second argument")
  return play(conn, list, {
    timeout = options.timeout, trace = options.trace, captures = options.captures,
    deadline = options.deadline and { at = pipe.now() + options.deadline, ms = options.deadline },
  })
end

---Opens the pipe, calls fn(pipe) and closes it whatever happens.
---@param name string
---@param options table as for pipe.open
---@param fn fun(pipe: userdata): ...
---@return any ... fn's results, or nil, code, info
local function client(name, options, fn)
  if type(fn) ~= "function" then
    misuse "pipehost.client(name, options, fn): fn is a function"
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

return { run = run, play = play_on, steps = steps, client = client }
