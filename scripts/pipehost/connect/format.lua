-- SPDX-License-Identifier: MIT
-- How `pipehost connect` takes a line for bytes, and shows bytes: as text, in
-- hex, or as the fields of a struct.
local hex = require "pipehost.hex"
local show = require "pipehost.show"

---@class pipehost.connect.format
---@field encode fun(line: string): string?, string? bytes, or nil and why not; nil alone: nothing to send
---@field show fun(bytes: string): string

local M = {}

-- Text and hex -------------------------------------------------------------------

-- What could move the cursor or worse is not for a terminal.
local function harmless(bytes)
  if not utf8.len(bytes) then
    return hex.line(bytes, #bytes)
  end
  return (bytes:gsub("[\0-\8\11\12\14-\31\127]", "."))
end

---@param terminal boolean is it shown on a terminal?
---@return pipehost.connect.format
function M.text(terminal)
  return {
    encode = function(line)
      return line
    end,
    show = function(bytes)
      return terminal and harmless(bytes) or bytes
    end,
  }
end

local function digits(bytes)
  local text = bytes:gsub(".", function(c)
    return ("%02x "):format(c:byte())
  end)
  return (text:gsub(" $", ""))
end

---Pairs of digits, with spaces, commas and 0x as one likes; `#` begins a remark.
---@param terminal boolean the text beside the digits
---@return pipehost.connect.format
function M.hex(terminal)
  return {
    encode = function(line)
      if line:match "^%s*#" then
        return nil
      end
      local pairs_only = line:gsub("#.*$", ""):gsub("0[xX]", ""):gsub("[%s,]", "")
      local bad = pairs_only:match "%X"
      if bad then
        return nil, ("'%s' is no hex digit"):format(bad)
      elseif #pairs_only % 2 == 1 then
        return nil, "a byte has two hex digits; one is left over"
      end
      return (pairs_only:gsub("%x%x", function(pair)
        return string.char(tonumber(pair, 16))
      end))
    end,
    show = function(bytes)
      return terminal and hex.line(bytes, #bytes) or digits(bytes)
    end,
  }
end

-- Structs ------------------------------------------------------------------------

local function is_struct(value)
  return type(value) == "table" and type(value.fields) == "table" and type(value.unpack) == "function"
end

-- name -> struct of a file that gives one, or a table with some in it.
local function structs_of(path)
  local chunk, message = loadfile(path)
  if not chunk then
    return nil, message
  end
  local ok, value = pcall(chunk)
  if not ok then
    return nil, tostring(value)
  elseif is_struct(value) then
    return { [value.name or "struct"] = value }
  end
  local found = {}
  for name, struct in pairs(type(value) == "table" and value or {}) do
    if type(name) == "string" and is_struct(struct) then
      found[name] = struct
    end
  end
  if not next(found) then
    return nil, path .. ": it returns no pipehost.struct, and no table with one in it"
  end
  return found
end

local function names_of(structs)
  local names = {}
  for name in pairs(structs) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function choose(structs, name, path)
  if name and not structs[name] then
    local names = names_of(structs)
    return nil, ("%s has no struct '%s'%s; it has %s"):format(path, name, show.near(name, names),
      table.concat(names, ", "))
  end
  return name or (not next(structs, next(structs)) and next(structs)) or nil
end

-- In the form in which it can be typed. The fields of an inner struct are in the
-- order of their names.
local function literal(value)
  if type(value) == "string" then
    return ('"%s"'):format(value:gsub('[%c"\\\127-\255]', function(c)
      return ("\\x%02x"):format(c:byte())
    end))
  elseif type(value) ~= "table" then
    return tostring(value)
  end
  local parts = {}
  for _, item in ipairs(value) do
    parts[#parts + 1] = literal(item)
  end
  local keys = {}
  for key in pairs(value) do
    keys[#keys + 1] = type(key) == "string" and key or nil
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = ("%s = %s"):format(key, literal(value[key]))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function in_order(struct, values)
  local parts = {}
  for i, field in ipairs(struct.fields) do
    parts[i] = ("%s = %s"):format(field.name, literal(values[field.name]))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function encode_struct(structs, default, line)
  local name, rest = line:match "^%s*([%a_][%w_]*)%s*(.*)$"
  if not name or rest:sub(1, 1) == "=" then
    name, rest = default, line
  end
  if not name then
    return nil, "which struct? One of " .. table.concat(names_of(structs), ", ")
  elseif not structs[name] then
    return nil, ("there is no struct '%s'%s"):format(name, show.near(name, names_of(structs)))
  end
  local body = rest:match "^%s*{" and rest or "{" .. rest .. "}"
  local chunk, message = load("return " .. body, "=line", "t", {})
  local ok, values = pcall(chunk or error, message)
  if not ok then
    return nil, (tostring(values):gsub("^line:1: ", ""))
  end
  local packed, bytes = pcall(structs[name].pack, structs[name], values)
  if not packed then
    return nil, (tostring(bytes):gsub("^%S+:%d+: ", ""))
  end
  return bytes
end

-- Bytes may fit several: all are told.
local function show_struct(structs, names, bytes)
  local fitting, why = {}, nil
  for _, name in ipairs(names) do
    local values, _, info = structs[name]:unpack(bytes)
    if values then
      fitting[#fitting + 1] = name .. " " .. in_order(structs[name], values)
    end
    why = why or tostring(info)
  end
  if #fitting == 0 then
    return ("%s (%s)"):format(hex.line(bytes, #bytes), #names == 1 and why or "fits no struct")
  end
  return table.concat(fitting, " or ")
end

---The structs of the Lua file at `path`. A line is `NAME field = value, …`, with
---braces where one likes them; a struct that is alone, or `send_as`, needs no name.
---@param path string
---@param send_as? string
---@param receive_as? string
---@return pipehost.connect.format?
---@return string? message
---@return pipehost.struct? received where it is known which one comes
function M.struct(path, send_as, receive_as)
  local structs, message = structs_of(path)
  if not structs then
    return nil, message
  end
  local send, receive, why, why_not
  send, why = choose(structs, send_as, path)
  receive, why_not = choose(structs, receive_as, path)
  if why or why_not then
    return nil, why or why_not
  end
  local names = receive and { receive } or names_of(structs)
  return {
    encode = function(line)
      return encode_struct(structs, send, line)
    end,
    show = function(bytes)
      return show_struct(structs, names, bytes)
    end,
  }, nil, receive and structs[receive]
end

return M
