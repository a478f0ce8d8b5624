-- SPDX-License-Identifier: MIT
-- Faults as the command line writes them, for plans (fault_plan.lua):
--
--   [in:|out:]FAULT[=VALUE][,OPTION=VALUE]…     in:delay=20,jitter=5    drop,chance=10%
--
-- Words are the fields of a plan's fault and mean the same. What a value may be, the
-- plan says.
local fault_plan = require "pipehost.fault_plan"
local show = require "pipehost.show"

local M = {}

-- Of a proxy; true: it takes a value.
local kinds = {
  delay = true, drop = false, cut = true, split = false, join = true, duplicate = false, corrupt = false,
  stall = false, refuse = true,
}
local options = { jitter = true, nth = true, from = true, to = true, every = true, chance = true }
local directions = { ["in"] = true, out = true }

local why_not = {
  busy = "a client that has come cannot be told 'busy'; refuse drops it",
  fail = "'fail' is of operations in a test (t.faults); cut ends a connection",
  late = "'late' is of operations in a test (t.faults)",
}

local function sorted(...)
  local list = {}
  for _, set in ipairs { ... } do
    for name in pairs(set) do
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return list
end

---The faults there are.
M.kinds = sorted(kinds)

local kind_list = table.concat(M.kinds, ", ")

-- Leaves the parsing, with what is wrong.
local function fail(message, ...)
  error({ message = message:format(...) }, 0)
end

local function direction_of(text)
  local name, rest = text:match "^%s*([^:,=]-)%s*:(.*)$"
  if not name then
    return nil, text
  elseif not directions[name] then
    fail("'%s:' is no direction; in: is what clients send, out: is what they get", name)
  end
  return name, rest
end

local function value_of(name, text)
  if name == "chance" and text:find "^[%d.]+%%$" then
    return tonumber(text:sub(1, -2)) / 100
  end
  local number = tonumber(text)
  return number and math.tointeger(number) or number or text
end

local function add_word(fault, word)
  local name, value = word:match "^%s*([^=]-)%s*=%s*(.-)%s*$"
  name = name or word:match "^%s*(.-)%s*$"
  local takes = kinds[name]
  if takes == nil then
    takes = options[name]
  end
  if takes == nil then
    fail("%s", why_not[name] or name == "" and "a word is missing"
      or ("there is no '%s'%s"):format(name, show.near(name, sorted(kinds, options))))
  elseif fault[name] ~= nil then
    fail("'%s' is there twice", name)
  elseif value == "" or options[name] and not value then
    fail("after '%s' comes =VALUE", name)
  elseif value and not takes then
    fail("'%s' takes no value", name)
  end
  fault[name] = not value or value_of(name, value)
end

local function kind_of(fault)
  local found
  for _, name in ipairs(M.kinds) do
    if fault[name] ~= nil and found then
      fail("'%s' and '%s' are two faults; each is given by itself", found, name)
    end
    found = fault[name] ~= nil and name or found
  end
  return found or fail("it names no fault: %s", kind_list)
end

local function read(text)
  local direction, rest = direction_of(text)
  local fault = {}
  for word in (rest .. ","):gmatch "([^,]*)," do
    add_word(fault, word)
  end
  local kind = kind_of(fault)
  if kind == "refuse" and direction then
    fail "'refuse' is of clients that come, in: and out: of what is said"
  end
  fault.on = kind == "refuse" and "connect" or direction
  return fault
end

---The fault that the text says.
---@param text string
---@return pipehost.fault?
---@return string? message what is wrong with it
function M.parse(text)
  local ok, result = pcall(read, text)
  if ok then
    return result
  elseif type(result) == "table" then
    return nil, result.message
  end
  error(result, 0)
end

---Puts up faults for clients of a pipe that this process serves.
---@param name string
---@param specs string[]
---@param seed? integer
---@return pipehost.faults?
---@return string? message
function M.start(name, specs, seed)
  local plan = { side = "server", seed = seed }
  for i, text in ipairs(specs) do
    local message
    plan[i], message = M.parse(text)
    if not plan[i] then
      return nil, ("--fault %s: %s"):format(text, message)
    end
  end
  local ok, made = pcall(fault_plan.start, "--fault", name, plan)
  if ok then
    return made
  end
  local number, message = tostring(made):match "%-%-fault, fault (%d+): (.*)$"
  return nil, number and ("--fault %s: %s"):format(specs[tonumber(number)], message) or made
end

---One that has happened: "in:drop of message 3".
---@param event { fault: string, on: string, number: integer }
---@param unit string "message", "chunk"
---@return string
function M.event_text(event, unit)
  if event.on == "connect" then
    return ("%s of client %d"):format(event.fault, event.number)
  end
  return ("%s:%s of %s %d"):format(event.on, event.fault, unit, event.number)
end

---How many there were: "in:drop 2, refuse 1", or "no fault".
---@param faults pipehost.faults
---@return string
function M.summary(faults)
  local parts = {}
  for _, lane in ipairs { "connect", "in", "out" } do
    for _, kind in ipairs(M.kinds) do
      local count = faults:count(kind, lane)
      if count > 0 then
        parts[#parts + 1] = ("%s%s %d"):format(lane == "connect" and "" or lane .. ":", kind, count)
      end
    end
  end
  return #parts > 0 and table.concat(parts, ", ") or "no fault"
end

return M
