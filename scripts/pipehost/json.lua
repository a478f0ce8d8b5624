-- SPDX-License-Identifier: MIT
-- Plain data as one line of JSON. Texts are UTF-8; what is not is escaped byte
-- by byte.
local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(byte)
  return escapes[byte] or ("\\u%04x"):format(byte:byte())
end

local function text_of(text)
  return '"' .. text:gsub(utf8.len(text) and '[%c"\\\127]' or '[%c"\\\127-\255]', escape) .. '"'
end

local encode

local function object_of(value)
  local keys, parts = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = text_of(key) .. ":" .. encode(value[key])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function list_of(value)
  local parts = {}
  for i, element in ipairs(value) do
    parts[i] = encode(element)
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

---@param value any nil, boolean, number, string, a list, or a table with text keys; {} is a list
---@return string
function encode(value)
  local kind = type(value)
  if kind == "string" then
    return text_of(value)
  elseif kind == "table" then
    return (value[1] ~= nil or next(value) == nil) and list_of(value) or object_of(value)
  elseif kind == "number" then
    return math.type(value) == "integer" and tostring(value) or ("%.3f"):format(value)
  elseif kind == "boolean" then
    return tostring(value)
  end
  return "null"
end

return encode
