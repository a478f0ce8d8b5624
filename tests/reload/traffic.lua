-- SPDX-License-Identifier: MIT
-- Clients that talk while the server is reloaded again and again, by the same
-- process. Each sends numbers, some ahead of their replies; the server counts
-- what it gets of each client and says both. So a message that is lost, doubled
-- or late shows.
--   traffic.lua PIPE CONTROL CLIENTS RELOADS PAUSE_MS
local pipe = require("pipehost").pipe

local name, control, clients, reloads, pause = ...
clients, reloads, pause = tonumber(clients), tonumber(reloads), tonumber(pause)

local AHEAD = 8 -- messages on their way
local MS = 60000
local stop, messages, generations = false, 0, {}

local function talk()
  local conn <close> = assert(pipe.open(name, { timeout = MS, wait = "free" }))
  local sent, heard, going = 0, 0, pipe.event()
  local sender = pipe.spawn(function()
    while not stop do
      while sent - heard >= AHEAD and not stop do
        going:reset()
        going:wait(MS)
      end
      sent = sent + 1
      assert(conn:send(tostring(sent), MS))
      if pause > 0 and sent % AHEAD == 0 then
        pipe.sleep(pause)
      end
    end
    return sent
  end)
  while true do
    if stop then
      sender:wait(MS)
      if heard == sent then
        break
      end
    end
    local reply = assert(conn:receive(MS))
    local count, number, generation = reply:match "^(%d+) (%d+) (%d+)$"
    heard = heard + 1
    assert(count == number and tonumber(number) == heard,
      ("after %d came %q"):format(heard - 1, reply))
    generations[generation] = true
    going:set()
  end
  messages = messages + sent
end

local function reload()
  local conn <close> = assert(pipe.open(control, { timeout = MS, wait = "free" }))
  local reply = assert(conn:transact("reload\nforce=yes", MS))
  assert(reply:match "^0\n", reply)
end

local tasks = {}
for i = 1, clients do
  tasks[i] = pipe.spawn(talk)
end
for i = 1, reloads do
  reload()
  if i == 50 then
    print "warm" -- what is still growing has grown
  end
end
stop = true
for _, task in ipairs(tasks) do
  task:wait(MS)
end
local seen = 0
for _ in pairs(generations) do
  seen = seen + 1
end
print(("%d messages, %d generations seen"):format(messages, seen))
