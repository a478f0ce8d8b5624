-- SPDX-License-Identifier: MIT
-- t.faults and t.exhaust: what a system or a peer may do wrong, done on purpose.
local context = require "pipehost.test.context"
local core = require "pipehost.core"
local failure = require "pipehost.test.failure"
local fault_plan = require "pipehost.fault_plan"
local misuse = require "pipehost.misuse"
local names = require "pipehost.test.names"

local MOST = 1000 -- rounds of t.exhaust

local M = {}

---Connections of the name that begin from now on have these faults, to the end of
---the test or until the result is closed.
---@param name string the pipe
---@param plan pipehost.fault_plan
---@return pipehost.faults
function M.faults(name, plan)
  local faults = fault_plan.start("t.faults", name, plan)
  context.current():defer(function()
    faults:close()
  end)
  return faults
end

-- Exhaust -----------------------------------------------------------------------------

local exhaust_names = { "name", "side", "on", "code", "most" }
local STREAM = { "in", "out" }

local function plan_of(n, options)
  local plan = { side = options.side, together = true }
  if options.on or options.code then
    plan[1] = { fail = options.code or "closed", on = options.on or STREAM, nth = n }
  else
    plan[1] = { fail = "closed", on = STREAM, nth = n }
    plan[2] = { fail = "denied", on = { "open", "connect" }, nth = n }
  end
  return plan
end

local function handler(of)
  return function(value)
    if type(value) == "table" and value.skipped then
      return value
    end
    local found = failure.of(value, context.settings.file)
    if of.late and found.message == "cancelled" then
      found.message = ("not done after %d ms: it was waiting here"):format(of.ms)
    end
    return { pipehost_failure = found }
  end
end

local function raise(value, n, hit)
  local found = value.pipehost_failure
  if found and hit then
    found.message = ("with operation %d failing (%s): %s"):format(n, hit.on, found.message)
  elseif found then
    found.message = ("with no operation failing: %s"):format(found.message)
  end
  error(value, 0)
end

-- What a round has put up goes with it.
local function undo(of, cleanups, checks, hit)
  while #of.cleanups > cleanups do
    table.remove(of.cleanups).fn()
  end
  while #of.checks > checks do
    local check = table.remove(of.checks)
    if not hit then
      check()
    end
  end
end

local function round(fn, n, options)
  local of = context.current()
  local cleanups, checks = #of.cleanups, #of.checks
  local name = options.name or names.fresh()
  local faults <close> = fault_plan.start("t.exhaust", name, plan_of(n, options))
  local ok, value = xpcall(fn, handler(of), name)
  local hit = faults:events()[1]
  if not ok then
    raise(value, n, hit)
  end
  faults:close()
  undo(of, cleanups, checks, hit)
  return hit
end

---Calls fn(name) with a fresh pipe name again and again: with the 1st operation on
---it failing, with the 2nd, the 3rd …, until none fails. Raises what fn raises, with
---the number of the operation.
---@param fn fun(name: string)
---@param options? pipehost.test.exhaust_options
---@return integer count of operations that failed in their turn
function M.exhaust(fn, options)
  if type(fn) ~= "function" then
    misuse "t.exhaust: takes a function, and options"
  end
  options = options or {}
  core.check_options(options, exhaust_names, "t.exhaust")
  local most = options.most or MOST
  if math.type(most) ~= "integer" or most < 1 then
    misuse "t.exhaust: option 'most' is a whole number from 1"
  end
  for n = 1, most do
    if not round(fn, n, options) then
      return n - 1
    end
  end
  misuse("t.exhaust: not done after %d operations; option 'most' allows more", most)
end

return M
