-- SPDX-License-Identifier: MIT
-- What went wrong and where: made of a raised value inside the coroutine that
-- raised it, where its frames are still there.
local core = require "pipehost.core"

---@class pipehost.test.failure
---@field message string
---@field place? string file:line, of the test file where it is in it
---@field trace? string[] the frames of the script, the innermost first

local M = {}

local MOST_FRAMES = 200 -- looked at
local LUAUNIT = "LuaUnit test FAILURE: "

local function is_library(source)
  return source == "=[C]" or source == "@luaunit.lua" or source:sub(1, 10) == "@pipehost/"
end

local function describe(at)
  local what = at.name and ("in %s '%s'"):format(at.namewhat ~= "" and at.namewhat or "function", at.name)
    or at.what == "main" and "in main chunk" or ("in function <line %d>"):format(at.linedefined)
  return ("%s:%d: %s"):format(at.source:sub(2), at.currentline, what)
end

-- The script's own frames, from the caller's on.
local function frames_of(thread)
  local frames = {}
  for level = thread and 0 or 1, MOST_FRAMES do
    local at
    if thread then
      at = debug.getinfo(thread, level, "nSl")
    else
      at = debug.getinfo(level, "nSl")
    end
    if not at then
      break
    elseif at.currentline > 0 and not is_library(at.source) then
      frames[#frames + 1] = at
    end
  end
  return frames
end

local function place_of(frames, file)
  local best = frames[1]
  for _, at in ipairs(frames) do
    if at.source == "@" .. file then
      best = at
      break
    end
  end
  return best and ("%s:%d"):format(best.source:sub(2), best.currentline)
end

-- A traceback in the text comes from another coroutine: without its lines of
-- the library.
local function without_library(text)
  local head, trace = text:match "^(.-)\nstack traceback:\n(.*)$"
  if not head then
    return text
  end
  local kept = {}
  for line in (trace .. "\n"):gmatch "\t?([^\n]*)\n" do
    if line ~= "" and not line:match "^pipehost/" and not line:match "^%[C%]" and not line:match "^luaunit%.lua"
      and not line:match "^%(" then
      kept[#kept + 1] = "  " .. line
    end
  end
  return head .. (#kept > 0 and "\nraised in another coroutine:\n" .. table.concat(kept, "\n") or "")
end

-- error() and luaL_error put the place before the text; it is told by itself.
local function without_place(text, frames)
  for _, at in ipairs(frames) do
    local prefix = ("%s:%d: "):format(at.short_src, at.currentline)
    if text:sub(1, #prefix) == prefix then
      text = text:sub(#prefix + 1)
      break
    end
  end
  text = text:gsub("^pipehost/[%w_/]+%.lua:%d+: ", "")
  if text:sub(1, #LUAUNIT) == LUAUNIT then
    text = text:sub(#LUAUNIT + 1)
  end
  return text
end

local function text_of(value)
  if type(value) == "string" then
    return value
  elseif core.is_info(value) then
    return tostring(value)
  elseif type(value) == "table" and not getmetatable(value) then
    return "a table was raised: " .. require("pipehost.show").value(value)
  end
  return tostring(value)
end

---For a message handler: the failure that the raised value stands for.
---@param value any
---@param file string the test file
---@return pipehost.test.failure
function M.of(value, file)
  if type(value) == "table" and value.pipehost_failure then
    return value.pipehost_failure
  end
  local frames, trace = frames_of(), {}
  for i, at in ipairs(frames) do
    trace[i] = describe(at)
  end
  return {
    message = without_place(without_library(text_of(value)), frames), place = place_of(frames, file),
    trace = #trace > 1 and trace or nil,
  }
end

---The failure for a text that is all there is of it.
---@param text string
---@return pipehost.test.failure
function M.of_text(text)
  text = without_library(text)
  local place, message = text:match "^([^\n]-:%d+): (.*)$"
  return { message = message or text, place = place }
end

---Where a coroutine waits.
---@param thread thread
---@param file string
---@return string? place
function M.place_in(thread, file)
  return place_of(frames_of(thread), file)
end

---Where the script is now.
---@param file string
---@return string?
function M.here(file)
  return place_of(frames_of(), file)
end

---Raises a failure whose place is known otherwise than from the stack.
---@param message string
---@param place? string
function M.raise(message, place)
  error({ pipehost_failure = { message = message, place = place } }, 0)
end

return M
