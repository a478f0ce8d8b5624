-- SPDX-License-Identifier: MIT
-- Functions made for one layout: most structs are plain numbers and strings, each
-- of which string.pack takes as it is. For them pack and unpack are one call and
-- one table; whatever is unusual is left to the general way, which knows why.
local next, pcall, getmetatable = next, pcall, getmetatable
local pack, unpack = string.pack, string.unpack

local MOST_FIELDS = 100 -- that string.pack takes as arguments

local M = {}

local function is_plain(layout)
  if not layout.size or #layout.names == 0 or #layout.names > MOST_FIELDS then
    return false
  end
  for i, codec in ipairs(layout.codecs) do
    if codec.encode or codec.decode or codec.constant or layout.defaults[i] ~= nil then
      return false
    end
  end
  return true
end

-- `template` with one piece for each field; %d is its number, %q its name.
local function each(layout, piece)
  local pieces = {}
  for i, name in ipairs(layout.names) do
    pieces[i] = piece:gsub("%%(.)", { d = tostring(i), q = (("%q"):format(name):gsub("\n", "n")) })
  end
  return table.concat(pieces, ", ")
end

local function compile(text, ...)
  return assert(load(text, "=struct", "t", {}))(...)
end

local UNPACK = [[
local unpack, format = ...
return function(bytes)
  local %s = unpack(format, bytes)
  return { %s }
end]]

local PACK = [[
local pack, format, index, next, pcall = ...
return function(values)
  for name in next, values do
    if not index[name] then
      return nil
    end
  end
  local ok, bytes = pcall(pack, format, %s)
  return ok and bytes or nil
end]]

---Adds to a plain layout: fast_pack(values), nil when something is wrong or
---unusual; fast_unpack(bytes), of as many bytes as the struct has.
---@param layout pipehost.struct.layout
function M.add(layout)
  if not is_plain(layout) then
    return
  end
  local unpacking = UNPACK:format(each(layout, "v%d"), each(layout, "[%q] = v%d"))
  layout.fast_unpack = compile(unpacking, unpack, layout.format)
  local packing = compile(PACK:format(each(layout, "values[%q]")), pack, layout.format, layout.index, next, pcall)
  layout.fast_pack = function(values)
    return getmetatable(values) == nil and packing(values) or nil
  end
end

return M
