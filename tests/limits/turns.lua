-- SPDX-License-Identifier: MIT
-- Served by turns_test.py: tasks that never end, and wait (or are new) again and
-- again, so that none of them passes its limit of time.
local computed = require "computed"
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local on = false
local kinds = {}

function kinds.sleep()
  for _ = 1, 100 do
    pipe.spawn(function()
      while on do pipe.sleep(0) end
    end)
  end
end

function kinds.yield()
  for _ = 1, 100 do
    pipe.spawn(function()
      while on do coroutine.yield() end
    end)
  end
end

function kinds.spawn()
  if on then pipe.spawn(kinds.spawn) end
end

-- Each makes two, until it may not.
function kinds.spawn_twice()
  if on then
    pipe.spawn(kinds.spawn_twice)
    pcall(pipe.spawn, kinds.spawn_twice)
  end
end

function kinds.events()
  local ping, pong = pipe.event(), pipe.event()
  local function player(mine, yours)
    while on do
      mine:wait()
      mine:reset()
      yours:set()
    end
  end
  pipe.spawn(player, ping, pong)
  pipe.spawn(player, pong, ping)
  ping:set()
end

-- One event that thousands wait for, each of which sets the next one.
function kinds.crowd()
  local event = pipe.event()
  for _ = 1, 3000 do
    pipe.spawn(function()
      while on do
        event:wait(0)
        event:set()
        event:reset()
        pipe.sleep(0)
      end
    end)
  end
end

-- Operations that are done at once.
function kinds.operations()
  for _ = 1, 10 do
    pipe.spawn(function()
      while on do pipe.open("absent-" .. pipehost.config.first, { wait = "no" }) end
    end)
  end
end

-- Just below the limit, by many.
function kinds.compute()
  for _ = 1, 20 do
    pipe.spawn(function()
      while on do
        local stop = os.clock() + 0.02
        repeat until os.clock() > stop
        pipe.sleep(0)
      end
    end)
  end
end

pipehost.server {
  name = pipehost.config.first,
  on_message = function(_, message)
    local pid = message:match "^computed (%d+)$"
    if pid then
      return tostring(computed(pid))
    elseif message == "off" then
      on = false
    else
      on = true
      kinds[message]()
    end
    return "done"
  end,
}
