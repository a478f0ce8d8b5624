-- SPDX-License-Identifier: MIT
-- When a handshake is tried again: which outcomes, how often, after what pauses.
local core = require "pipehost.core"
local misuse = require "pipehost.misuse"
local pipe = require "pipehost.pipe"
local show = require "pipehost.show"

local names = { "times", "backoff", "factor", "max_backoff", "on" }
local default_codes = { "absent", "busy", "timeout" }
local codes = { "absent", "busy", "timeout", "closed", "denied", "protocol", "mode", "toobig", "nomem" }

---@class pipehost.retry
---@field times? integer further tries (0)
---@field backoff? number ms before the first of them (200)
---@field factor? number of each pause to the one before (2)
---@field max_backoff? number ms of the longest pause (10000)
---@field on? string[] the codes that are tried again (absent, busy, timeout)

local Retry = {}
Retry.__index = Retry

local M = {}

local function number(options, name, fallback, least)
  local value = options[name]
  if value == nil then
    return fallback
  elseif type(value) ~= "number" or value ~= value or value < least then
    misuse("pipehost.handshake: retry's '%s' is a number from %d on", name, least)
  end
  return value
end

local function set_of(list)
  local set = {}
  for _, code in ipairs(list) do
    set[code] = true
  end
  return set
end

local function chosen(list)
  if list == nil then
    return set_of(default_codes)
  end
  local known = set_of(codes)
  for _, code in ipairs(type(list) == "table" and list or { list }) do
    if not known[code] then
      misuse("pipehost.handshake: retry's 'on' has codes in it; %s is none%s", show.value(code),
        show.near(code, codes))
    end
  end
  return set_of(type(list) == "table" and list or { list })
end

---@param options? pipehost.retry
function M.of(options)
  options = options == nil and {} or options
  if type(options) ~= "table" then
    misuse("pipehost.handshake: option 'retry' is a table, as { times = 3 }")
  end
  core.check_options(options, names, "pipehost.handshake retry")
  return setmetatable({
    tries = 1,
    times = number(options, "times", 0, 0),
    pause = number(options, "backoff", 200, 0),
    factor = number(options, "factor", 2, 1),
    most = number(options, "max_backoff", 10000, 0),
    codes = chosen(options.on),
  }, Retry)
end

---After a failure: true when the pause is over and there is to be another try.
---@param code string
---@param deadline? { at: number, ms: number }
---@return boolean
function Retry:again(code, deadline)
  local pause = math.min(self.pause, self.most)
  if self.tries > self.times or not self.codes[code] or deadline and pipe.now() + pause >= deadline.at then
    return false
  end
  pipe.sleep(pause)
  self.tries, self.pause = self.tries + 1, self.pause * self.factor
  return true
end

return M
