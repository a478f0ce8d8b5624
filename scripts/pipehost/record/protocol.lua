-- SPDX-License-Identifier: MIT
-- What the bytes of a recording mean: a file of Lua that returns a table with
--
--   client, server   what each end sends: a struct, a list of them of which the
--                    first that fits counts, or a function(bytes) that gives one
--   frame            of a byte pipe: how it is cut into messages, as for pipe.open
--
-- and anything else besides; or a struct alone, which is what both send.
local fields = require "pipehost.record.fields"
local frames = require "pipehost.record.frames"
local matcher = require "pipehost.handshake.matcher"
local show = require "pipehost.show"

---@class pipehost.record.protocol
---@field frame? pipehost.record.frame
---@field source any what the file returned
---@field private kinds table<string, any> by direction
local Protocol = {}
Protocol.__index = Protocol

local M = {}

local is_struct = matcher.is_struct

local function fail(path, message, ...)
  error(("%s: %s"):format(path, message:format(...)), 0)
end

local function check_kind(path, name, kind)
  if kind == nil or is_struct(kind) or type(kind) == "function" then
    return
  elseif type(kind) ~= "table" or #kind == 0 then
    fail(path, "'%s' is a struct, a list of structs or a function, not a %s", name, type(kind))
  end
  for i, one in ipairs(kind) do
    if not is_struct(one) then
      fail(path, "'%s' has %s at %d, which is no struct", name, show.value(one), i)
    end
  end
end

local function check_names(path, module)
  if module.client == nil and module.server == nil and module.frame == nil then
    fail(path, "returns a table without client, server or frame; these say which structs each end sends")
  end
end

---@param module any what the file returned
---@param path string for messages; raised without a place
---@return pipehost.record.protocol
function M.of(module, path)
  local source = module
  if is_struct(module) then
    module = { client = module, server = module }
  elseif type(module) ~= "table" then
    fail(path, "returns a %s, not a struct and not a table with client, server or frame", type(module))
  end
  check_names(path, module)
  check_kind(path, "client", module.client)
  check_kind(path, "server", module.server)
  local frame
  if module.frame ~= nil then
    local why
    frame, why = frames.of(module.frame)
    if not frame then
      fail(path, "%s", why)
    end
  end
  return setmetatable({
    kinds = { [">"] = module.client, ["<"] = module.server }, frame = frame, source = source,
  }, Protocol)
end

---The structs that it names; nil when a function decides.
---@return pipehost.struct[]?
function Protocol:structs()
  local list = {}
  for _, kind in pairs(self.kinds) do
    if type(kind) == "function" then
      return nil
    end
    for _, struct in ipairs(is_struct(kind) and { kind } or kind) do
      list[#list + 1] = struct
    end
  end
  return list
end

---A sentence for the first name that no struct has.
---@param wanted string[]
---@return string?
function Protocol:unknown_field(wanted)
  local structs = self:structs()
  for _, name in ipairs(structs and wanted or {}) do
    local message = fields.unknown(structs, name)
    if message then
      return message
    end
  end
end

local function first_fitting(list, bytes)
  for _, struct in ipairs(list) do
    local values = struct:unpack(bytes)
    if values then
      return struct, values
    end
  end
end

---The struct that these bytes are, and its values.
---@param direction ">" | "<"
---@param bytes string
---@return pipehost.struct?
---@return table? values
function Protocol:decode(direction, bytes)
  local kind = self.kinds[direction]
  if type(kind) == "function" then
    kind = kind(bytes)
  end
  if kind == nil then
    return nil
  end
  return first_fitting(is_struct(kind) and { kind } or kind, bytes)
end

return M
