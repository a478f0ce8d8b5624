-- SPDX-License-Identifier: MIT
-- For each kind of turns.lua: it, and what the host computes until it has
-- answered another client, in ms, at most.
local computed = require "computed"
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local pid = pipehost.config.pid
local options = { mode = "message", timeout = 60000 }

for _, kind in ipairs { ... } do
  local one = assert(pipe.open(pipehost.config.first, options))
  assert(one:transact(kind))
  local most = 0
  for _ = 1, 20 do
    -- The second has come when the server looks for it.
    local before = computed(pid)
    assert(one:send("computed " .. pid))
    assert(one:send("computed " .. pid))
    assert(one:receive())
    most = math.max(most, tonumber(assert(one:receive())) - before)
  end
  assert(one:transact "off")
  one:close()
  print(("%s\t%.0f"):format(kind, most))
end
