-- SPDX-License-Identifier: MIT
-- A script that is run in the process of the test, as `pipehost run` does.
local common = require "pipehost.command.common"
local context = require "pipehost.test.context"
local run = require "pipehost.command.run"

---@class pipehost.test.run
---@field generation userdata
---@field remote userdata
---@field status? integer
---@field message? string
local Run = {}
Run.__index = Run

local M = {}

---@param path string
---@param args table as of the command line
---@return pipehost.test.run
function M.start(path, args)
  args.rest = args.arguments
  local generation, message = common.open(path, args, "run")
  if not generation then
    error(message, 0)
  end
  local self = setmetatable({ generation = generation, remote = generation:start "run" }, Run)
  context.current():defer(function()
    self:close()
  end)
  return self
end

---Waits for its end.
---@param ms? number
---@return integer? status as `pipehost run` would exit with
---@return string? message of what went wrong, or "pending"
function Run:wait(ms)
  if self.status then
    return self.status, self.message
  end
  local ok, result = self.remote:wait(ms)
  if ok == nil then
    return nil, "pending"
  elseif ok then
    self.status, self.message = run.status_of(result)
  else
    self.status, self.message = common.SCRIPT_ERROR, result
  end
  return self.status, self.message
end

function Run:close()
  if self.generation then
    common.close(self.generation)
    self.generation = nil
  end
end

return M
