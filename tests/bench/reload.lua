-- SPDX-License-Identifier: MIT
-- Many connections that talk while their server is reloaded: how long a commit
-- takes, how long the old generation lives on, and how late replies are.
--   reload.lua PIPE CONTROL CONNECTIONS RELOADS PAUSE_MS
local pipe = require("pipehost").pipe

local name, control, connections, reloads, pause = ...
connections, reloads, pause = tonumber(connections), tonumber(reloads), tonumber(pause)

local MS = 60000
local opened, stop = 0, false
local messages, latest = 0, 0 -- in this interval

local function talk(i)
  local conn <close> = assert(pipe.open(name, { timeout = MS, wait = "free" }))
  opened = opened + 1
  pipe.sleep(i % pause)
  local count = 0
  while not stop do
    count = count + 1
    local begin = pipe.now()
    local reply = assert(conn:transact(tostring(count), MS))
    assert(reply == count .. " " .. count, reply)
    messages, latest = messages + 1, math.max(latest, pipe.now() - begin)
    pipe.sleep(pause)
  end
end

local controller = assert(pipe.open(control, { timeout = MS }))

local function ask(request)
  local reply = assert(controller:transact(request, MS))
  assert(reply:match "^0\n", reply)
  return reply
end

local function interval(ms)
  messages, latest = 0, 0
  pipe.sleep(ms)
  return latest
end

local tasks = {}
for i = 1, connections do
  tasks[i] = pipe.spawn(talk, i)
end
while opened < connections do
  pipe.sleep(10)
end
interval(1000)
local quiet = interval(1000)
print(("%d connections, %d messages/s, latest reply without a reload %.1f ms"):format(connections, messages, quiet))
for _ = 1, reloads do
  messages, latest = 0, 0
  local begin = pipe.now()
  local reply = ask "reload\nforce=yes\njson=yes"
  local reloaded = pipe.now() - begin
  repeat
    pipe.sleep(1)
  until select(2, ask("generations"):gsub("\n", "")) == 1
  local handed_over = pipe.now() - begin
  pipe.sleep(200)
  print(("commit %.3f reload %.1f until the old one is closed %.1f latest reply %.1f"):format(
    reply:match '"commit_ms":([%d.]+)', reloaded, handed_over, latest))
end
stop = true
for _, task in ipairs(tasks) do
  task:wait(MS)
end
