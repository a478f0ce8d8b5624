-- SPDX-License-Identifier: MIT
-- Fields of structs by the names that the command line has: `user.password` is the
-- path of one, `password` any field of that name, however deep.
local show = require "pipehost.show"

---@class pipehost.record.place
---@field path string as "user.ids[2]"
---@field offset integer
---@field size integer bytes
---@field code string
---@field variable boolean all bytes to the end; its text may have a length before it

local M = {}

local visit

-- Calls see(path, field, offset, size, code) for each field that is no struct, each
-- element of an array by itself.
local function visit_field(field, path, offset, size, see)
  if field.struct then
    visit(field.struct, path .. ".", offset, size, see)
  else
    see { path = path, offset = offset, size = field.size or size - offset, code = field.code,
      variable = field.size == nil }
  end
end

function visit(struct, prefix, base, size, see)
  for _, field in ipairs(struct.fields) do
    local path, offset = prefix .. field.name, base + field.offset
    if field.count then
      local one = setmetatable({ size = field.size // field.count }, { __index = field })
      for i = 0, field.count - 1 do
        visit_field(one, ("%s[%d]"):format(path, i + 1), offset + i * one.size, size, see)
      end
    else
      visit_field(field, path, offset, size, see)
    end
  end
end

---All places of the struct, in `size` bytes.
---@param struct pipehost.struct
---@param size integer
---@return pipehost.record.place[]
function M.places(struct, size)
  local list = {}
  visit(struct, "", 0, size, function(place)
    list[#list + 1] = place
  end)
  return list
end

-- The path without indices, between dots.
local function plain(path)
  return "." .. path:gsub("%[%d+%]", "") .. "."
end

---Is the place meant by the name?
---@return boolean
function M.meant(place, name)
  local path = plain(place.path)
  return place.path == name or path:find("." .. name .. ".", 1, true) ~= nil
end

---@param place pipehost.record.place
---@param wanted string[]
---@return boolean
function M.is_one_of(place, wanted)
  for _, name in ipairs(wanted) do
    if M.meant(place, name) then
      return true
    end
  end
  return false
end

local function all_names(structs)
  local set, list = {}, {}
  for _, struct in ipairs(structs) do
    for _, place in ipairs(M.places(struct, struct.size or struct.layout.fixed)) do
      for name in place.path:gsub("%[%d+%]", ""):gmatch "[^.]+" do
        list[#list + 1] = not set[name] and name or nil
        set[name] = true
      end
    end
  end
  table.sort(list)
  return list
end

---A sentence when no struct has a field that is meant, nil when one has.
---@param structs pipehost.struct[]
---@param name string
---@return string?
function M.unknown(structs, name)
  for _, struct in ipairs(structs) do
    for _, place in ipairs(M.places(struct, struct.size or struct.layout.fixed)) do
      if M.meant(place, name) then
        return nil
      end
    end
  end
  return ("no struct has a field '%s'%s"):format(name, show.near(name:match "[^.]+$", all_names(structs)))
end

return M
