-- SPDX-License-Identifier: MIT
-- run.py: timeout=240
-- Plans by chance, and operations started, cancelled and closed at any moment:
-- everything ends, nothing is left, whatever comes.
local faulty_pair = require "faulty_pair"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local ROUNDS, SIDE_BY_SIDE, OPERATIONS = 12, 4, 40

local kinds = {
  { delay = 2, jitter = 2 }, { drop = true }, { cut = 5000 }, { split = true }, { join = 3 },
  { duplicate = true }, { corrupt = true }, { fail = "nomem" }, { fail = "timeout" }, { fail = "closed" },
  { late = 3 }, { stall = true },
}
local rare = { cut = true, stall = true }

local function random_plan()
  local plan = { seed = math.random(1 << 30) }
  for i = 1, math.random(1, 4) do
    local fault = {}
    for name, value in pairs(kinds[math.random(#kinds)]) do
      fault[name] = value
      fault.chance = rare[name] and 0.1 or math.random()
    end
    if fault.fail == "closed" then
      fault.chance = 0.05
    end
    if math.random(2) == 1 then
      fault.on = math.random(2) == 1 and "in" or "out"
    end
    plan[i] = fault
  end
  return plan
end

local function start(side, mode)
  local which, size = math.random(6), math.random(0, 3000)
  if which <= 2 then
    return side:read_op(math.random(1, 2000), math.random(0, 8))
  elseif which == 3 and mode == "message" then
    return side:transact_op(("t"):rep(size), math.random(0, 8))
  elseif which == 4 and mode == "byte" then
    return side:read_op(100)
  end
  return side:write_op(("w"):rep(size + 1), which == 6 and math.random(0, 8) or nil)
end

local function converse(sides, mode)
  local pending = {}
  for _ = 1, OPERATIONS do
    local ok, op = pcall(start, sides[math.random(2)], mode) -- misuse: the state may forbid it
    if ok and op then
      pending[#pending + 1] = op
    end
    local luck = math.random(10)
    if luck == 1 and #pending > 0 then
      pending[math.random(#pending)]:cancel()
    elseif luck <= 3 then
      pipe.sleep(math.random(0, 4))
    elseif luck == 4 then
      sides[math.random(2)]:peek()
    end
  end
  return pending
end

local function round(mode)
  local name = t.name()
  local faults = t.faults(name, random_plan())
  local server = assert(pipe.create(name, { mode = mode }))
  local client = assert(pipe.open(name, { mode = mode, timeout = faulty_pair.LONG }))
  assert(server:connect(faulty_pair.LONG))
  local sides = { server, client }
  local pending = converse(sides, mode)
  if math.random(3) == 1 then
    faults:close()
  end
  if math.random(3) == 1 then
    server:disconnect()
  end
  local first = math.random(2)
  sides[first]:close()
  sides[3 - first]:close()
  for _, op in ipairs(pending) do
    op:cancel()
  end
  assert(pipe.wait_all(pending, faulty_pair.LONG))
  faults:close()
end

local tests = {}

for _, mode in ipairs { "message", "byte" } do
  tests["test_" .. mode] = function()
    for _ = 1, ROUNDS do
      local tasks = {}
      for i = 1, SIDE_BY_SIDE do
        tasks[i] = pipe.spawn(round, mode)
      end
      for _, task in ipairs(tasks) do
        assert(task:wait(2 * faulty_pair.LONG))
      end
    end
  end
end

return tests
