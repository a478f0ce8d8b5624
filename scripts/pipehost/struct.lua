-- SPDX-License-Identifier: MIT
-- pipehost.struct: fixed layouts of fields, over the codes of string.pack.
local core = require "pipehost.core"

---@class pipehost.struct
---@field size integer bytes
---@field fields { name: string, code: string, offset: integer }[]
local Struct = {}
Struct.__index = Struct

local function protocol(message, info)
  local _, code, result = core.failure("protocol", "unpack", info.struct, message)
  for key, value in pairs(info) do
    result[key] = value
  end
  return nil, code, result
end

---Packs a table of the fields' values; raises when one is missing, unknown or
---does not fit.
---@param values table<string, any>
---@return string
function Struct:pack(values)
  if type(values) ~= "table" then
    error(("%s: pack takes a table of its fields"):format(self), 2)
  end
  local names, list = {}, {}
  for i, field in ipairs(self.fields) do
    names[i] = field.name
    list[i] = values[field.name]
    if list[i] == nil then
      error(("%s: field '%s' is missing"):format(self, field.name), 2)
    end
  end
  core.check_options(values, names, tostring(self))
  local ok, bytes = pcall(string.pack, self.format, table.unpack(list))
  if not ok then
    self:explain(values, bytes)
  end
  return bytes
end

-- Which field did not fit?
function Struct:explain(values, message)
  for _, field in ipairs(self.fields) do
    local ok, why = pcall(string.pack, self.prefix .. field.code, values[field.name])
    if not ok then
      local reason = why:gsub("^bad argument #%d+ to '[^']*' ", ""):gsub("^%((.*)%)$", "%1")
      error(("%s: field '%s': %s"):format(self, field.name, reason), 3)
    end
  end
  error(message, 3)
end

---Unpacks exactly `size` bytes.
---@param bytes string
---@return table<string, any>? values
---@return string? code "protocol"
---@return table? info names the expected and the real size
function Struct:unpack(bytes)
  if #bytes ~= self.size then
    return protocol(("%s has %d bytes, but %d came"):format(self, self.size, #bytes),
      { struct = tostring(self), expected = self.size, got = #bytes })
  end
  local list, values = { string.unpack(self.format, bytes) }, {}
  for i, field in ipairs(self.fields) do
    values[field.name] = list[i]
  end
  return values
end

---Each field with its offset, bytes and value, a line each.
---@param bytes string
---@return string
function Struct:dump(bytes)
  local values, lines = self:unpack(bytes) or {}, {}
  for _, field in ipairs(self.fields) do
    local part = bytes:sub(field.offset + 1, field.offset + field.size)
    local hex = part:gsub(".", function(c)
      return ("%02x "):format(c:byte())
    end)
    lines[#lines + 1] = ("%4d  %-24s %s = %s"):format(field.offset, hex, field.name,
      tostring(values[field.name]))
  end
  return table.concat(lines, "\n")
end

function Struct:__tostring()
  return "struct" .. (self.name and " " .. self.name or "")
end

---A layout: `struct("<", { { "iFage", "i4" } })`. The prefix says byte order and
---alignment as string.pack does; each field has a name and a code of fixed size.
---@param prefix string
---@param fields { [1]: string, [2]: string }[]
---@return pipehost.struct
local function struct(prefix, fields)
  if type(prefix) ~= "string" or type(fields) ~= "table" then
    error("pipehost.struct(prefix, fields): a text such as \"<\" and a list of fields", 2)
  end
  local self = setmetatable({ prefix = prefix, fields = {}, format = prefix, name = fields.name }, Struct)
  local seen = {}
  for i, field in ipairs(fields) do
    local name, code = field[1], field[2]
    if type(name) ~= "string" or type(code) ~= "string" then
      error(("pipehost.struct: field %d needs a name and a code, as { \"size\", \"I4\" }"):format(i), 2)
    end
    if seen[name] then
      error(("pipehost.struct: two fields are named '%s'"):format(name), 2)
    end
    seen[name] = true
    local ok, size = pcall(string.packsize, self.format .. code)
    if not ok then
      error(("pipehost.struct: field '%s': '%s' is no code of fixed size"):format(name, code), 2)
    end
    local alone = string.packsize(prefix .. code)
    self.format = self.format .. code
    self.fields[i] = { name = name, code = code, offset = size - alone, size = alone }
  end
  self.size = string.packsize(self.format)
  return self
end

return struct
