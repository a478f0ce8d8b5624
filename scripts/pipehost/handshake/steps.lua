-- SPDX-License-Identifier: MIT
-- pipehost.steps: what a handshake is made of. Each function checks what it is
-- given where the script calls it, and gives a step, which only play.lua runs.
local core = require "pipehost.core"
local matcher = require "pipehost.handshake.matcher"
local misuse = require "pipehost.misuse"

---@class pipehost.step
---@field kind string
---@field name string
---@field where string FILE:LINE that made it
---@field timeout? number ms

---@alias pipehost.expected
---| string the bytes
---| pipehost.struct
---| pipehost.handshake.matcher steps.pattern(…), steps.line(…), steps.bytes(…)
---| pipehost.step steps.any_of{…}, or as an alternative another step that expects
---| fun(data: string, captures: table): any, string? true, or the value; or nil and why not

---@class pipehost.steps
local M = {}

local Step = {}
Step.__index = Step

function Step:__tostring()
  return self.name == self.kind and self.kind or ("%s (%s)"):format(self.kind, self.name)
end

---@return boolean
local function is_step(value)
  return getmetatable(value) == Step
end

local function is_time(value)
  return type(value) == "number" and value >= 0
end

local function new_step(kind, options, names, fields)
  if options ~= nil and type(options) ~= "table" then
    misuse("steps.%s: options are a table, this is a %s", kind, type(options))
  end
  core.check_options(options or {}, names, "steps." .. kind)
  for key, value in pairs(options or {}) do
    if key == "timeout" and not is_time(value) then
      misuse("steps.%s: option 'timeout' is a number of milliseconds", kind)
    elseif (key == "name" or key == "as") and type(value) ~= "string" then
      misuse("steps.%s: option '%s' is text, this is a %s", kind, key, type(value))
    end
    fields[key] = value
  end
  fields.kind, fields.name = kind, fields.name or kind
  fields.where = core.place():gsub(": $", "")
  return setmetatable(fields, Step)
end

local function need_function(kind, fn)
  if type(fn) ~= "function" then
    misuse("steps.%s: a function is needed, this is a %s", kind, type(fn))
  end
end

-- Sending ----------------------------------------------------------------------------

-- A struct's bytes: at once where the values are known, so that a mistake in them
-- is told where they stand.
local function packer(struct, values)
  if type(values) == "function" then
    return function(captures)
      local made, code, info = values(captures)
      if made == nil and code then
        return nil, code, info
      end
      local bytes, why = struct:try_pack(made)
      return bytes or false, why
    end
  end
  local bytes, why = struct:try_pack(values)
  if not bytes then
    misuse("steps.send: %s", why)
  end
  return bytes
end

---Sends one message; on a byte pipe, these bytes. `data` is a string, a function
---of the captures that gives one, or a struct with `values` (or a function of the
---captures that gives them).
---@param data string | fun(captures: table): string | pipehost.struct
---@param values? table | fun(captures: table): table of a struct
---@param options? { name?: string, timeout?: number }
---@return pipehost.step
---@overload fun(data: string | fun(captures: table): string, options?: table): pipehost.step
function M.send(data, values, options)
  if matcher.is_struct(data) then
    data = packer(data, values)
  elseif type(data) == "string" or type(data) == "function" then
    options = values
  else
    misuse("steps.send: a string, a function or a struct with its values is sent, this is a %s", type(data))
  end
  return new_step("send", options, { "name", "timeout" }, { data = data })
end

-- Expecting --------------------------------------------------------------------------

---Reads one message, which is to be `what`. What came is kept under the name `as`:
---a struct's fields, a pattern's captures, what a function gave, else the bytes.
---@param what pipehost.expected
---@param options? { name?: string, timeout?: number, as?: string, fields?: table }
---@return pipehost.step
function M.expect(what, options)
  local fields = type(options) == "table" and options.fields or nil
  local step = { matcher = matcher.of(what, "steps.expect", fields) }
  return new_step("expect", options, { "name", "timeout", "as", "fields" }, step)
end

---The first of several that matches: anything that expect takes, or steps
---expect and expect_close. A step by itself, or for expect.
---@param alternatives pipehost.expected[]
---@param options? { name?: string, timeout?: number, as?: string }
---@return pipehost.step
function M.any_of(alternatives, options)
  if type(alternatives) ~= "table" or #alternatives == 0 or matcher.is_struct(alternatives) then
    misuse("steps.any_of: takes a list of what can come")
  end
  local step = { matcher = matcher.any_of(alternatives) }
  return new_step("any_of", options, { "name", "timeout", "as" }, step)
end

---Waits until the other end closes.
---@param options? { name?: string, timeout?: number }
---@return pipehost.step
function M.expect_close(options)
  return new_step("expect_close", options, { "name", "timeout" }, { matcher = matcher.close() })
end

---For expect: a pattern of Lua, found anywhere unless it is anchored. Its captures
---are the value; with `names` they are a table of these, and captures of the
---handshake.
---@param pattern string
---@param names? string[]
---@return pipehost.handshake.matcher
function M.pattern(pattern, names)
  if type(pattern) ~= "string" or names ~= nil and type(names) ~= "table" then
    misuse("steps.pattern(pattern, names): a pattern, and a list of its captures' names if they have any")
  end
  return matcher.pattern(pattern, names)
end

---For expect on a byte pipe: a line, without its end.
---@param what? pipehost.expected what it is to be
---@return pipehost.handshake.matcher
function M.line(what)
  return matcher.line(what)
end

---For expect: so many bytes.
---@param count integer
---@param what? pipehost.expected what they are to be
---@return pipehost.handshake.matcher
function M.bytes(count, what)
  if math.type(count) ~= "integer" or count < 1 then
    misuse("steps.bytes(count, what): the count is a whole number above 0")
  end
  return matcher.bytes(count, what)
end

-- The rest ---------------------------------------------------------------------------

---Closes our end; with a time-out only when the other end has read everything.
---@param options? { name?: string, timeout?: number }
---@return pipehost.step
function M.close(options)
  return new_step("close", options, { "name", "timeout" }, {})
end

---Keeps what fn(captures) gives under a name. `nil, code, info` ends the handshake.
---@param key string
---@param fn fun(captures: table): any
---@param options? { name?: string }
---@return pipehost.step
function M.capture(key, fn, options)
  if type(key) ~= "string" then
    misuse("steps.capture(name, fn): the name is text, this is a %s", type(key))
  end
  need_function("capture", fn)
  return new_step("capture", options, { "name" }, { key = key, fn = fn })
end

---Runs fn(captures, pipe). `nil, code, info` ends the handshake.
---@param fn fun(captures: table, pipe: userdata): ...
---@param options? { name?: string }
---@return pipehost.step
function M.call(fn, options)
  need_function("call", fn)
  return new_step("call", options, { "name" }, { fn = fn })
end

---Lets time pass.
---@param ms number
---@param options? { name?: string }
---@return pipehost.step
function M.wait(ms, options)
  if not is_time(ms) then
    misuse("steps.wait(ms): a number of milliseconds")
  end
  return new_step("wait", options, { "name" }, { ms = ms })
end

local function need_list(kind, list)
  if type(list) ~= "table" then
    misuse("steps.%s: its steps are a list, this is a %s", kind, type(list))
  end
  return is_step(list) and { list } or list
end

---Plays one list of steps or the other, as fn(captures) decides.
---@param fn fun(captures: table): any
---@param yes pipehost.step[]
---@param no? pipehost.step[]
---@param options? { name?: string }
---@return pipehost.step
function M.branch(fn, yes, no, options)
  need_function("branch", fn)
  local step = { fn = fn, yes = need_list("branch", yes), no = need_list("branch", no or {}) }
  return new_step("branch", options, { "name" }, step)
end

---Plays the steps again and again as long as fn(captures) is true before them.
---@param fn fun(captures: table): any
---@param list pipehost.step[]
---@param options? { name?: string }
---@return pipehost.step
function M.loop(fn, list, options)
  need_function("loop", fn)
  return new_step("loop", options, { "name" }, { fn = fn, yes = need_list("loop", list) })
end

setmetatable(M, { __index = core.index(M, "pipehost.steps") })

return { steps = M, is_step = is_step }
