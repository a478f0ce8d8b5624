-- SPDX-License-Identifier: MIT
-- run.py: timeout=240
-- Anything at all as an argument, in an order that is the same in every run: a
-- call gives its outcome or raises a text, and the host goes on.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

local CALLS = 8000
local PATIENCE = 5 -- ms for a call; then its task is cancelled

local pipe_methods = {
  "read", "read_exact", "read_line", "receive", "write", "send", "transact", "connect", "flush", "close",
  "disconnect", "peek", "peer", "info", "read_op", "receive_op", "write_op", "transact_op", "connect_op",
  "flush_op", "messages", "lines",
}
local op_methods = { "wait", "result", "cancel" }
local event_methods = { "set", "reset", "is_set", "wait" }
local task_methods = { "wait", "cancel" }
local functions = { "create", "open", "available", "call", "spawn", "event", "sleep", "now", "wait_any", "wait_all" }

local seed = 20250

local function dice(sides)
  seed = (seed * 1664525 + 1013904223) & 0xffffffff
  return (seed >> 8) % sides + 1
end

local function pick(list)
  return list[dice(#list)]
end

local function options()
  local keys = { "mode", "timeout", "max_message", "wait", "first", "access", "direction", "backlog", "peer" }
  local values = { "byte", "message", 1, 0, 5.5, -3, "no", true, {}, "inbound", "me", math.huge, { 1, 2 } }
  return { [pick(keys)] = pick(values), [pick(keys)] = pick(values), timeout = 1 }
end

-- What is called and passed; made anew now and then, since calls close things.
local function things()
  local server, client = ends.pair({ timeout = 2 }, { timeout = 2 })
  local bytes, other = ends.pair({ mode = "byte", timeout = 2 }, { mode = "byte", timeout = 2 })
  local instance = assert(pipe.create(t.name(), { timeout = 2 }))
  return {
    pipes = { server, client, bytes, other, instance },
    ops = { server:receive_op(), bytes:read_op(5), client:write_op "x", instance:connect_op(1) },
    events = { pipe.event() },
    tasks = { pipe.spawn(function() end), pipe.spawn(pipe.sleep, 1) },
  }
end

local plain = {
  false, true, 0, 1, -1, 2, 0.5, 1e300, math.huge, 0 / 0, math.mininteger, math.maxinteger, "", "x", "12",
  ("long"):rep(30000), "\0", "a/b", {}, { 1 }, type, function() end, coroutine.create(type), io.stdout,
}

local function argument(all)
  local kind = dice(12)
  if kind == 1 then
    return nil
  elseif kind == 2 then
    return options()
  elseif kind == 3 then
    return pick(all.ops)
  elseif kind == 4 then
    return pick(all.pipes)
  elseif kind == 5 then
    return { pick(all.ops), pick(all.events), pick(all.tasks), pick(plain) }
  elseif kind == 6 then
    return { pick(all.ops), pick(all.tasks) }
  elseif kind == 7 then
    return t.name()
  end
  return pick(plain)
end

local function call(all)
  local kind, self, name = dice(10), nil, nil
  if kind <= 5 then
    name, self = pick(pipe_methods), pick(all.pipes)
  elseif kind == 6 then
    name, self = pick(op_methods), pick(all.ops)
  elseif kind == 7 then
    name, self = pick(event_methods), pick(all.events)
  elseif kind == 8 then
    name, self = pick(task_methods), pick(all.tasks)
  else
    name = pick(functions)
  end
  local list = { n = dice(4) - 1 }
  for i = 1, list.n do
    list[i] = argument(all)
  end
  if self and dice(20) > 1 then
    table.insert(list, 1, self)
    list.n = list.n + 1
  end
  return name, self and self[name] or pipe[name], list
end

-- The values of a call in a task of its own, which does not stay.
local function protected(fn, list)
  local values
  local task = pipe.spawn(function()
    values = table.pack(pcall(fn, table.unpack(list, 1, list.n)))
  end)
  if not pipe.wait_all({ task }, PATIENCE) then
    task:cancel()
    assert(pipe.wait_all({ task }, 20000), "a cancelled task has not ended")
  end
  return values
end

function tests.test_anything()
  local all, raised, outcomes = things(), 0, 0
  for i = 1, CALLS do
    if i % 50 == 0 then
      all = things()
    end
    local name, fn, list = call(all)
    local values = protected(fn, list)
    if values and not values[1] then
      raised = raised + 1
      t.assertTrue(type(values[2]) == "string" or type(values[2]) == "number", name)
    elseif values and values[2] == nil and type(values[3]) == "string" then
      outcomes = outcomes + 1
    end
  end
  all = nil -- luacheck: ignore 311
  collectgarbage()
  t.assertTrue(raised > CALLS // 10, raised)
  t.assertTrue(outcomes > CALLS // 100, outcomes)
  local server, client = ends.pair()
  assert(client:send "still here")
  t.assertEquals(server:receive(5000), "still here")
end

return tests
