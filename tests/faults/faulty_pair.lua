-- SPDX-License-Identifier: MIT
-- What the tests of faults share: two ends of a pipe in one process, one of which
-- has the faults.
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local M = {}

M.LONG = 10000 -- ms; nothing here takes that long

---@class faulty_pair
---@field from userdata that writes
---@field to userdata that reads
---@field name string
---@field faults pipehost.faults

---The plan is that of the client end: "in" is what the server writes.
---@param mode "message" | "byte"
---@param direction "in" | "out"
---@param plan pipehost.fault_plan
---@return faulty_pair
function M.new(mode, direction, plan)
  local name = t.name()
  plan.side = "client"
  for _, fault in ipairs(plan) do
    fault.on = fault.on or direction
  end
  local faults = t.faults(name, plan)
  local server = assert(pipe.create(name, { mode = mode }))
  local client = assert(pipe.open(name, { mode = mode }))
  assert(server:connect(M.LONG))
  t.defer(function()
    for _, one in ipairs { client, server } do
      if one.state ~= "closed" then
        one:close()
      end
    end
  end)
  local from, to = server, client
  if direction == "out" then
    from, to = client, server
  end
  return { from = from, to = to, name = name, faults = faults }
end

---A server that sends back what comes.
function M.echo(name)
  return t.server {
    name = name, mode = "message", on_message = function(_, message)
      return message
    end,
  }
end

---What the next read gives.
function M.take(pair)
  return pair.to:read(1000, M.LONG)
end

---Adds to `tests` a test for each mode and direction: fn(mode, direction).
function M.each(tests, what, fn)
  for _, mode in ipairs { "message", "byte" } do
    for _, direction in ipairs { "in", "out" } do
      tests[("test_%s_%s_%s"):format(what, mode, direction)] = function()
        fn(mode, direction)
      end
    end
  end
end

---The call gave nil and that code.
function M.fails(code, value, got, info)
  t.assertNil(value)
  t.assertEquals(got, code, tostring(info))
  return info
end

return M
