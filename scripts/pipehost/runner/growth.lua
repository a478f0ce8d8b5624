-- SPDX-License-Identifier: MIT
-- Does a test that is run again and again leave more memory behind each time?
local WARM_UP = 2 -- runs that may fill caches
local LEAST_RUNS = 4 -- after that
local LEAST_BYTES = 64 -- in each run

---@class pipehost.runner.growth
---@field sizes integer[]
local Growth = {}
Growth.__index = Growth

local M = {}

---@return pipehost.runner.growth
function M.new()
  return setmetatable({ sizes = {} }, Growth)
end

---@param bytes integer that the file's state holds after a run
function Growth:add(bytes)
  self.sizes[#self.sizes + 1] = bytes
end

---Why it fails: it grew in every run after the first ones.
---@return string?
function Growth:message()
  local sizes, runs = self.sizes, #self.sizes - WARM_UP
  if runs < LEAST_RUNS then
    return nil
  end
  for i = WARM_UP + 1, #sizes do
    if sizes[i] - sizes[i - 1] < LEAST_BYTES then
      return nil
    end
  end
  local each = (sizes[#sizes] - sizes[WARM_UP]) // runs
  return ("Lua memory grew in each of the last %d runs, by %d bytes a run"):format(runs, each)
end

return M
