-- SPDX-License-Identifier: MIT
-- Plans of faults, as tests and `pipehost proxy` write them: checked, and put up
-- for one pipe's name. Their fields: meta/faults.lua.
local core = require "pipehost.core"
local misuse = require "pipehost.misuse"

local M = {}

local MOST_MS = 86400000
local ALL = math.maxinteger
local JOIN_MS = 20

local lanes = { ["in"] = 1, out = 2, open = 4, connect = 8 }
local STREAM = lanes["in"] | lanes.out

-- Kind -> the lanes it may have, and has where none is named; what its value is.
local kinds = {
  delay = { lanes = STREAM, value = "ms" },
  drop = { lanes = STREAM },
  cut = { lanes = STREAM, value = "bytes" },
  split = { lanes = STREAM },
  join = { lanes = STREAM, value = "ms", fallback = JOIN_MS },
  duplicate = { lanes = STREAM },
  corrupt = { lanes = STREAM },
  stall = { lanes = STREAM },
  refuse = { lanes = lanes.open | lanes.connect, value = "first", usual = lanes.open },
  busy = { lanes = lanes.open, value = "first" },
  fail = { lanes = STREAM | lanes.open | lanes.connect, value = "code", usual = STREAM },
  late = { lanes = STREAM, value = "ms" },
}

local kind_names = {}
for kind in pairs(kinds) do
  kind_names[#kind_names + 1] = kind
end
table.sort(kind_names)

local codes = {
  { lanes = STREAM, closed = true, timeout = true, denied = true, nomem = true, toobig = true,
    system = true },
  { lanes = lanes.open, absent = true, busy = true, denied = true, mode = true, timeout = true, nomem = true,
    toobig = true, system = true },
  { lanes = lanes.connect, closed = true, timeout = true, denied = true, nomem = true, system = true },
}

local plan_names = { "side", "seed", "together" }
local fault_names = table.move({ "jitter", "on", "nth", "from", "to", "every", "chance" }, 1, 7,
  #kind_names + 1, { table.unpack(kind_names) })

-- Checking ---------------------------------------------------------------------------

local function is_count(value, least)
  return math.type(value) == "integer" and value >= least
end

local function is_time(value)
  return type(value) == "number" and value >= 0 and value <= MOST_MS
end

local function lanes_of(fault, kind, need)
  local on = fault.on
  if on == nil then
    return kind.usual or kind.lanes
  end
  local set = 0
  for _, name in ipairs(type(on) == "table" and on or { on }) do
    need(lanes[name], "'on' is \"in\", \"out\", \"open\" or \"connect\", or a list of them")
    set = set | lanes[name]
  end
  need(set ~= 0, "'on' names no direction")
  return set
end

local function kind_of(fault, need)
  local found
  for _, name in ipairs(kind_names) do
    if fault[name] ~= nil then
      need(not found, ("'%s' and '%s' are two faults: write each in a table of its own"):format(
        found or "", name))
      found = name
    end
  end
  need(found, "needs one of " .. table.concat(kind_names, ", "))
  return found
end

local function need_code(code, set, need)
  need(type(code) == "string", "'fail' is a code, such as \"closed\"")
  for _, group in ipairs(codes) do
    need(set & group.lanes == 0 or group[code] and code ~= "lanes",
      ("'fail' cannot be \"%s\" there"):format(code))
  end
end

-- Fills in what the core wants of each kind's value.
local values = {}

function values.ms(raw, name, value, kind, need)
  if value == true and kind.fallback then
    value = kind.fallback
  end
  need(is_time(value), ("'%s' is a number of milliseconds"):format(name))
  raw.value = value * 1000 // 1 | 0
end

function values.bytes(raw, name, value, _, need)
  need(is_count(value, 0), ("'%s' is a number of bytes"):format(name))
  raw.value = value
end

function values.first(raw, name, value, _, need)
  need(value == true or is_count(value, 1), ("'%s' is true, or how many tries"):format(name))
  if value ~= true then
    raw.last = raw.first + value - 1
  end
end

function values.code(raw, _, value, _, need)
  need_code(value, raw.lanes, need)
  raw.status = value
end

local function set_when(raw, fault, need)
  for _, name in ipairs { "nth", "from", "to", "every" } do
    need(fault[name] == nil or is_count(fault[name], 1), ("'%s' is a whole number from 1"):format(name))
  end
  need(not (fault.nth and (fault.from or fault.to or fault.every)), "'nth' goes without from, to and every")
  local chance = fault.chance
  need(chance == nil or type(chance) == "number" and chance >= 0 and chance <= 1, "'chance' is from 0 to 1")
  raw.first = fault.nth or fault.from or 1
  raw.last = fault.nth or fault.to or ALL
  raw.every = fault.every or 1
  raw.parts = math.tointeger((chance or 1) * 1000000 // 1)
end

local function translate(fault, need)
  local name = kind_of(fault, need)
  local kind, value = kinds[name], fault[name]
  local raw = { kind = name, lanes = lanes_of(fault, kind, need), value = 0, spread = 0 }
  need(raw.lanes & ~kind.lanes == 0, ("'%s' cannot happen there: see its 'on'"):format(name))
  set_when(raw, fault, need)
  if kind.value then
    values[kind.value](raw, name, value, kind, need)
  else
    need(value == true, ("'%s' is true"):format(name))
  end
  if fault.jitter ~= nil then
    need(name == "delay" and is_time(fault.jitter), "'jitter' is a number of milliseconds, and of delay only")
    raw.spread = fault.jitter * 1000 // 1 | 0
  end
  return raw
end

local function split(plan, what)
  local options, faults = {}, {}
  for key, value in pairs(plan) do
    if math.type(key) == "integer" then
      faults[key] = value
    else
      options[key] = value
    end
  end
  core.check_options(options, plan_names, what)
  return options, faults
end

local function check_plan(options, need)
  local side = options.side
  need(side == nil or side == "client" or side == "server", "option 'side' is \"client\" or \"server\"")
  need(options.seed == nil or math.type(options.seed) == "integer", "option 'seed' is a whole number")
  need(options.together == nil or type(options.together) == "boolean", "option 'together' is true or false")
end

-- Putting up ----------------------------------------------------------------------------

-- What the core wants: the plan's options, and its faults as numbers.
local function check(what, name, plan)
  if type(name) ~= "string" or name == "" or type(plan) ~= "table" then
    misuse("%s: takes a pipe's name and a table of faults", what)
  end
  local function need(condition, message, number)
    if not condition then
      misuse("%s%s: %s", what, number and (", fault %d"):format(number) or "", message)
    end
  end
  local options, faults = split(plan, what)
  check_plan(options, need)
  local raw = {}
  for i = 1, #faults do
    need(type(faults[i]) == "table", "is a table, such as { drop = true, nth = 3 }", i)
    core.check_options(faults[i], fault_names, ("%s, fault %d"):format(what, i))
    raw[i] = translate(faults[i], function(condition, message)
      need(condition, message, i)
    end)
  end
  return options, raw
end

---Connections of the name that begin from now on have the faults, until the
---result is closed. Raises where the plan is not what it may be.
---@param what string who asks, for its messages
---@param name string the pipe
---@param plan pipehost.fault_plan
---@return pipehost.faults
function M.start(what, name, plan)
  local options, raw = check(what, name, plan)
  return core.faults(name, options.side or "any", options.seed or 1, options.together or false, raw)
end

-- To another pipehost ------------------------------------------------------------------

local function literal(value)
  if type(value) ~= "table" then
    return ("%q"):format(value)
  end
  local parts = {}
  for key, one in pairs(value) do
    parts[#parts + 1] = ("[%q]=%s"):format(key, literal(one))
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

---The word for `--faults` of `serve` and `run`. Raises as M.start does.
---@param what string who asks, for its messages
---@param name string the pipe
---@param plan pipehost.fault_plan
---@return string
function M.word(what, name, plan)
  check(what, name, plan)
  return name .. "=" .. literal(plan)
end

---Puts up what such words say, until the result is closed.
---@param words string[]
function M.start_words(words)
  local list = {}
  for i, word in ipairs(words) do
    local name, text = word:match "^([^=]+)=(.*)$"
    local plan = assert(load("return " .. (text or word), "=--faults", "t", {}))
    list[i] = M.start("--faults", name, plan())
  end
  return setmetatable(list, {
    __close = function()
      for _, one in ipairs(list) do
        one:close()
      end
    end,
  })
end

return M
