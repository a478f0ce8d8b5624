-- SPDX-License-Identifier: MIT
-- run.py: timeout=240
-- Races with another process, which does its part at its own pace: nothing here
-- decides the order.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

-- The last statement of a child: it stays until the other end has closed.
local STAY = "\nconn:receive(60000)\n"

local function accept(name)
  local server = assert(pipe.create(name, { timeout = 30000 }))
  return server, function(finish)
    local ok, code = server:connect()
    if not ok then
      error(code .. ": " .. finish())
    end
  end
end

local function ended(finish)
  local output, status = finish()
  t.assertEquals(status, 0, output)
  t.assertEquals(output, "")
end

local sends = [[
local pipe = require "pipehost.pipe"
local conn = assert(pipe.open((...), { timeout = 30000 }))
for i = 1, 1000 do
  assert(conn:send("message " .. i))
  if i % 4 > 0 then
    pipe.sleep(i % 4 * 0.05)
  end
end
]]

-- Every message comes once and in order, whatever became of the reads before.
local function race(start)
  local name = t.name()
  local server, connected = accept(name)
  local finish = ends.start(sends .. STAY, name)
  connected(finish)
  local next_one, early = 1, 0
  while next_one <= 1000 do
    local op = start(server, next_one + early)
    assert(op:wait(30000))
    local message, code = op:result()
    if message then
      t.assertEquals(message, "message " .. next_one)
      next_one = next_one + 1
    else
      t.assertTrue(code == "cancelled" or code == "timeout", code)
      early = early + 1
    end
  end
  ends.fails("timeout", server:receive(0))
  server:close()
  ended(finish)
end

function tests.test_1000_messages_against_cancels()
  race(function(server, i)
    local op = server:receive_op()
    for _ = 1, i % 4 do
      pipe.sleep(0)
    end
    op:cancel()
    return op
  end)
end

function tests.test_1000_messages_against_deadlines()
  race(function(server, i)
    return server:receive_op(i % 7 * 0.05)
  end)
end

function tests.test_200_replies_against_cancels()
  local name = t.name()
  local finish = ends.start([[
local pipe = require "pipehost.pipe"
local server = assert(pipe.create((...), { timeout = 30000 }))
for i = 1, 200 do
  assert(server:connect())
  local question = server:receive()
  if question and i % 2 == 0 then
    pipe.sleep(i % 5 * 0.1)
  end
  server:send("re: " .. tostring(question))
  repeat until not server:receive()
  assert(server:disconnect())
end
]], name)
  for i = 1, 200 do
    local conn = assert(pipe.open(name, { timeout = 30000 }))
    local op = conn:transact_op("question " .. i)
    pipe.sleep(i % 7 * 0.1)
    op:cancel()
    local reply, code = ends.finish(op)
    if reply then
      t.assertEquals(reply, "re: question " .. i)
    else
      t.assertEquals(code, "cancelled")
      ends.fails("closed", conn:receive(0))
    end
    conn:close()
  end
  ended(finish)
end

-- A client comes in at the moment when its instance is closed: it gets another,
-- or sees the end. Nobody hangs, and no client is served twice.
function tests.test_500_clients_against_close()
  local name = t.name()
  local keeper = assert(pipe.create(name)) -- so that the name stays
  local finish = ends.start([[
local pipe = require "pipehost.pipe"
local name = ...
local function ask(message)
  local conn <close> = assert(pipe.open(name, { wait = "free", timeout = 30000 }))
  return conn:send(message) and conn:receive(30000)
end
for i = 1, 500 do
  ask("client " .. i)
end
repeat until ask "done"
]], name)
  local seen, done, round = {}, false, 0
  local function serve(instance)
    local message = instance:receive(30000)
    if message == "done" then
      done = instance:send "yes"
    elseif message then
      t.assertNil(seen[message])
      seen[message] = true
    end
  end
  while not done do
    round = round + 1
    assert(round < 20000, "the client does not come")
    local instance = round % 50 == 0 and keeper or assert(pipe.create(name))
    local op = instance:connect_op(round % 50 == 0 and 5 or nil)
    pipe.sleep(round % 4 * 0.2)
    if instance ~= keeper then
      instance:close()
    end
    local ok, code = ends.finish(op)
    t.assertTrue(ok or code == "cancelled" or code == "timeout", code)
    if ok and instance == keeper then
      serve(keeper)
      keeper:flush(30000) -- a disconnect would take the answer back
      assert(keeper:disconnect())
    end
  end
  keeper:close()
  ended(finish)
end

return tests
