-- SPDX-License-Identifier: MIT
-- A list of steps as a script gives it: checked before anything is sent. A list in
-- a list is played in its place; `name` stands before the names of its steps, and
-- `deadline` (ms) is for all of them.
local matcher = require "pipehost.handshake.matcher"
local reader = require "pipehost.handshake.reader"
local show = require "pipehost.show"
local is_step = require("pipehost.handshake.steps").is_step

local keys = { "name", "deadline" }

local M = {}

local function refuse(path, message, ...)
  error(("step %s %s"):format(path, message:format(...)), 0)
end

local function show_item(item)
  local kind = type(item)
  if kind == "string" or kind == "number" then
    return ("is the %s %s"):format(kind, show.value(item))
  end
  return "is a " .. kind
end

-- The largest index: nil in the middle, from a name that is misspelt, hides what
-- comes after it.
local function length_of(list, path, what)
  local length = 0
  for key, value in pairs(list) do
    if math.type(key) == "integer" and key > 0 then
      length = math.max(length, key)
    elseif key == "deadline" and not (type(value) == "number" and value > 0) then
      refuse(path, "%s: its deadline is a number of milliseconds above 0", what)
    elseif key == "name" and type(value) ~= "string" then
      refuse(path, "%s: its name is text", what)
    elseif key ~= "name" and key ~= "deadline" then
      refuse(path, "%s has the unknown key '%s'%s; steps are made as pipehost.steps.send(…)", what, tostring(key),
        show.near(key, keys))
    end
  end
  return length
end

local check_list

local function check_item(item, path, above)
  if item == nil then
    refuse(path, "is nil; is its name misspelt?")
  elseif is_step(item) then
    if item.yes then
      check_list(item.yes, path .. ".", above)
      check_list(item.no or {}, path .. ".", above)
    end
  elseif matcher.is(item) or matcher.is_struct(item) then
    refuse(path, "is %s, which by itself is no step; put it into steps.expect(…)", tostring(item))
  elseif type(item) ~= "table" then
    refuse(path, "%s; steps are made as pipehost.steps.send(…)", show_item(item))
  else
    check_list(item, path .. ".", above)
  end
end

-- above: the lists that this one is in.
function check_list(list, prefix, above)
  local path = prefix == "" and "list" or prefix:sub(1, -2)
  if above[list] then
    refuse(path, "contains itself; to repeat steps use steps.loop")
  end
  above[list] = true
  for i = 1, length_of(list, path, "(a list of steps)") do
    check_item(list[i], prefix .. i, above)
  end
  above[list] = nil
end

---Raises a message without a place when something in it is no step.
---@param list any
function M.check(list)
  if is_step(list) then
    error("is one step; put it into a list: { … }", 0)
  elseif type(list) ~= "table" then
    error(("is a list of steps, this is a %s"):format(type(list)), 0)
  elseif #list == 0 and list[2] == nil then
    error("is an empty list; steps are made as pipehost.steps.send(…)", 0)
  end
  check_list(list, "", {})
end

---Raises when a step cannot read from a pipe of this kind.
---@param list table
---@param messages boolean
---@param prefix? string
function M.check_kind(list, messages, prefix)
  prefix = prefix or ""
  for i, item in ipairs(list) do
    local path = prefix .. i
    if not is_step(item) then
      M.check_kind(item, messages, path .. ".")
    elseif item.yes then
      M.check_kind(item.yes, messages, path .. ".")
      M.check_kind(item.no or {}, messages, path .. ".")
    elseif item.matcher then
      local problem = reader.problem(item.matcher, messages)
      if problem then
        error(("%s: step %s (%s): %s"):format(item.where, path, item.name, problem), 0)
      end
    end
  end
end

return M
