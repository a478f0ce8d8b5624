-- SPDX-License-Identifier: MIT
-- A recording made anew while its client's end is played: what the server says now
-- takes the place of what it said then.
local files = require "pipehost.files"
local format = require "pipehost.record.format"
local pipe = require "pipehost.pipe"

---@class pipehost.record.rewrite
---@field header table<string, string>
---@field events pipehost.record.event[]
local Rewrite = {}
Rewrite.__index = Rewrite

local M = {}

---@param recording pipehost.record.recording whose header stays
---@return pipehost.record.rewrite
function M.new(recording)
  local header = {}
  for key, value in pairs(recording.header) do
    header[key] = value
  end
  header.system = package.config:sub(1, 1) == "\\" and "windows" or "linux"
  return setmetatable({ header = header, events = {} }, Rewrite)
end

---@param conn integer
---@param kind string
---@param bytes? string
---@param ours? boolean of close
function Rewrite:see(conn, kind, bytes, ours)
  self.begin = self.begin or pipe.now()
  local by
  if kind == "close" then
    by = ours and "client" or "server"
  end
  self.events[#self.events + 1] = { ms = pipe.now() - self.begin, conn = conn, kind = kind, bytes = bytes, by = by }
end

---@param path string
---@return string? message
function Rewrite:write(path)
  local ok, message = files.write(path, format.text(self))
  return not ok and ("cannot write %s: %s"):format(path, message) or nil
end

return M
