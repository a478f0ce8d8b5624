-- SPDX-License-Identifier: MIT
-- A script that is served in the process of the test, as `pipehost serve` does.
local context = require "pipehost.test.context"
local pipe = require "pipehost.pipe"
local supervisor = require "pipehost.supervisor"

local DRAIN_MS = 1000

---@class pipehost.test.script_server
---@field path string
---@field script pipehost.supervised
local Server = {}
Server.__index = Server

local M = {}

---@param path string
---@param args table as of the command line
---@return pipehost.test.script_server?
---@return string? message
function M.start(path, args)
  args.drain = DRAIN_MS
  local script = supervisor.new(path, args)
  local candidate, message = script:load()
  if not candidate then
    return nil, message
  end
  local ok
  ok, message = script:commit(candidate)
  if not ok then
    return nil, message
  end
  local self = setmetatable({ path = path, script = script }, Server)
  context.current():defer(function()
    self:stop(0)
  end)
  return self
end

---Makes a new generation of the files as they are now.
---@return string?
---@return string? message
function Server:reload()
  return self.script:reload { force = true }
end

---No new clients; those that are there have `ms` to finish. Again: nothing.
---@param ms? number (1000)
function Server:stop(ms)
  if not self.stopped then
    self.stopped = true
    self.script:stopping(ms or DRAIN_MS):wait()
    self.script:close()
    pipe.sleep(0)
  end
end

return M
