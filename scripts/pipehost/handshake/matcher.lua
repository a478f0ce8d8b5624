-- SPDX-License-Identifier: MIT
-- What a step can expect. Each kind becomes a matcher:
--
--   text             says what is expected
--   match(data, captures)
--                    true, value, more: it is; `more` are captures by name
--                    nil, why, details: it is not; both may be nil
--   reads            what it takes from a byte pipe: a number of bytes, a sorted
--                    list of numbers that could do, "line", or "some"; nil when
--                    it cannot tell
--   possible(data)   could these first bytes still become it? Only with `reads`
--   closed           true: the other end's close is what is expected
--   lines            true: only byte pipes have what it reads
local hex = require "pipehost.hex"
local misuse = require "pipehost.misuse"
local show = require "pipehost.show"

---@class pipehost.handshake.matcher
---@field text string
---@field match fun(data: string, captures: table): true?, any, any
---@field reads? integer | integer[] | string
---@field possible? fun(data: string): boolean
---@field closed? boolean
---@field lines? boolean
local Matcher = {}
Matcher.__index = Matcher

function Matcher:__tostring()
  return self.text
end

local M = {}

local function new(fields)
  return setmetatable(fields, Matcher)
end

---@return boolean
function M.is(value)
  return getmetatable(value) == Matcher
end

---@return boolean
function M.is_struct(value)
  return type(value) == "table" and type(value.unpack) == "function" and type(value.dump) == "function"
end

-- Literals, patterns, functions ----------------------------------------------------

---@param text string
function M.literal(text)
  return new {
    text = show.value(text),
    reads = #text > 0 and #text or nil,
    match = function(data)
      if data == text then
        return true, data
      end
      return nil, nil, hex.side_by_side(text, data)
    end,
    possible = function(data)
      return text:sub(1, #data) == data
    end,
  }
end

local function by_name(names, found)
  local named = {}
  for i, name in ipairs(names) do
    named[name] = found[i + 2]
  end
  return named
end

---A pattern of Lua. Its captures are the value: one as it is, several as a list,
---with names as a table of them.
---@param pattern string
---@param names? string[]
function M.pattern(pattern, names)
  local ok, message = pcall(string.find, "", pattern)
  if not ok then
    misuse("steps.pattern %s: %s", show.value(pattern), message)
  end
  return new {
    text = ("pattern %s"):format(show.value(pattern)),
    match = function(data)
      local found = table.pack(data:find(pattern))
      if not found[1] then
        return nil
      elseif names then
        local named = by_name(names, found)
        return true, named, named
      elseif found.n > 3 then
        return true, table.move(found, 3, found.n, 1, {})
      end
      return true, found.n == 3 and found[3] or data
    end,
  }
end

---@param fn fun(data: string, captures: table): any, any
function M.predicate(fn)
  local at = debug.getinfo(fn, "S")
  local of_c = at.what == "C" -- such as tonumber, which takes no captures for its base
  return new {
    text = of_c and "what the function accepts"
      or ("what the function at %s:%d accepts"):format(at.short_src, at.linedefined),
    match = function(data, captures)
      local value, why = fn(data, not of_c and captures or nil)
      if value then
        return true, value == true and data or value
      end
      return nil, why ~= nil and tostring(why) or nil
    end,
  }
end

-- Structs --------------------------------------------------------------------------

local function field_names(struct)
  local names = {}
  for i, field in ipairs(struct.fields) do
    names[i] = field.name
  end
  return names
end

local function check_fields(struct, fields)
  for name in pairs(fields) do
    local names = field_names(struct)
    local known = false
    for _, other in ipairs(names) do
      known = known or other == name
    end
    if not known then
      misuse("steps.expect: %s has no field '%s'%s", struct, tostring(name), show.near(name, names))
    end
  end
end

-- The first wanted value that is another one; inner tables may have more.
local function other_value(wanted, values, path)
  for key, value in pairs(wanted) do
    local got = type(values) == "table" and values[key] or nil
    local at = math.type(key) and ("%s[%d]"):format(path, key) or path .. (path == "" and "" or ".") .. tostring(key)
    if type(value) == "table" and type(got) == "table" then
      local why = other_value(value, got, at)
      if why then
        return why
      end
    elseif got ~= value then
      return ("field '%s': expected %s, got %s"):format(at, show.value(value), show.value(got))
    end
  end
end

---Bytes that fit the struct, with these values of its fields if any are given.
---@param struct pipehost.struct
---@param fields? table
function M.struct(struct, fields)
  check_fields(struct, fields or {})
  return new {
    text = struct.size and ("%s (%d bytes)"):format(struct, struct.size) or tostring(struct),
    reads = struct.size,
    match = function(data)
      local values, _, info = struct:unpack(data)
      local why = not values and info.message or fields and other_value(fields, values, "")
      if why then
        return nil, why, struct:dump(data)
      end
      return true, values
    end,
    possible = function()
      return true
    end,
  }
end

-- For byte pipes --------------------------------------------------------------------

local function anything(text)
  return new { text = text, match = function(data)
    return true, data
  end }
end

---@param what? any what the line is to be
function M.line(what)
  local inner = what ~= nil and M.of(what, "steps.line") or nil
  return new {
    text = inner and ("a line, %s"):format(inner) or "a line",
    reads = "line", lines = true,
    match = (inner or anything "").match,
  }
end

---@param count integer
---@param what? any what these bytes are to be
function M.bytes(count, what)
  local inner = what ~= nil and M.of(what, "steps.bytes") or anything ""
  return new {
    text = ("%d bytes%s"):format(count, what ~= nil and ", " .. inner.text or ""),
    reads = count,
    match = function(data, captures)
      if #data ~= count then
        return nil, ("%d bytes came"):format(#data)
      end
      return inner.match(data, captures)
    end,
    possible = function()
      return true
    end,
  }
end

---The other end closes.
function M.close()
  return new {
    text = "the other end to close", closed = true, reads = "some",
    match = function()
      return nil
    end,
  }
end

-- Alternatives ----------------------------------------------------------------------

-- What all of them read, nil when it does not go together.
local function common_reads(list)
  local sizes, lines = {}, 0
  for _, one in ipairs(list) do
    local reads = one.reads
    if reads == "line" then
      lines = lines + 1
    elseif math.type(reads) then
      sizes[#sizes + 1] = reads
    elseif type(reads) == "table" then
      table.move(reads, 1, #reads, #sizes + 1, sizes)
    elseif not one.closed then
      return nil
    end
  end
  table.sort(sizes)
  if lines > 0 then
    return #sizes == 0 and "line" or nil
  end
  return #sizes > 0 and sizes or "some"
end

local function any(list, name)
  for _, one in ipairs(list) do
    if one[name] then
      return true
    end
  end
  return false
end

local function match_any(list, data, captures)
  local details = {}
  for _, one in ipairs(list) do
    local ok, value, more = one.match(data, captures)
    if ok then
      return true, value, more
    elseif not one.closed then
      details[#details + 1] = ("  not %s%s"):format(one.text, value and ": " .. value or "")
    end
  end
  return nil, nil, table.concat(details, "\n")
end

---The first of them that matches.
---@param alternatives any[]
function M.any_of(alternatives)
  local list, texts = {}, {}
  for i, what in ipairs(alternatives) do
    list[i] = M.of(what, ("steps.any_of, alternative %d"):format(i))
    texts[i] = list[i].text
  end
  return new {
    text = "one of " .. table.concat(texts, ", "),
    reads = common_reads(list), closed = any(list, "closed"), lines = any(list, "lines"),
    match = function(data, captures)
      return match_any(list, data, captures)
    end,
    possible = function(data)
      for _, one in ipairs(list) do
        if one.possible and one.possible(data) and (type(one.reads) == "table" or one.reads > #data) then
          return true
        end
      end
      return false
    end,
  }
end

-- A step that expects something, as an alternative: its capture is kept.
local function of_step(step)
  local inner, name, copy = step.matcher, step.as, new {}
  for key, value in pairs(inner) do
    copy[key] = value
  end
  function copy.match(data, captures)
    local ok, value, more = inner.match(data, captures)
    if not ok or not name then
      return ok, value, more
    end
    local all = { [name] = value }
    for key, other in pairs(more or {}) do
      all[key] = other
    end
    return true, value, all
  end
  return copy
end

---The matcher for what a script gives; raises when it is nothing to expect.
---@param what any
---@param where string
---@param fields? table of a struct
---@return pipehost.handshake.matcher
function M.of(what, where, fields)
  local kind = type(what)
  if fields ~= nil and not (M.is_struct(what) and type(fields) == "table") then
    misuse("%s: option 'fields' is a table, for a struct", where)
  elseif kind == "string" then
    return M.literal(what)
  elseif kind == "function" then
    return M.predicate(what)
  elseif M.is(what) then
    return what
  elseif kind == "table" and M.is(rawget(what, "matcher")) then
    return of_step(what)
  elseif M.is_struct(what) then
    return M.struct(what, fields)
  end
  misuse("%s: expects a struct, a string, a function, steps.pattern or steps.any_of; this is %s", where,
    what == nil and "nil" or "a " .. kind)
end

return M
