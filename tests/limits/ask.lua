-- SPDX-License-Identifier: MIT
-- For each way of ways.lua: a client of the first pipe asks for it, and at
-- the same moment another one of the second pipe for an answer. One line each:
-- way, reply or code, reason of the end, and what the server computed before the
-- other was answered, in ms.
local computed = require "computed"
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local first, second = pipehost.config.first, pipehost.config.second
local pid = pipehost.config.pid
local options = { mode = "message", timeout = 60000 }

local function try(way)
  local bad = assert(pipe.open(first, options))
  local other = assert(pipe.open(second, options))
  assert(other:transact "forget") -- it is served by now
  local before = computed(pid)
  assert(bad:send(way))
  local answered = tonumber(assert(other:transact("computed " .. pid))) - before
  local reply, code = bad:receive()
  bad:close()
  -- The end of the first is handled in its own time.
  local reason = ""
  for _ = 1, 100 do
    reason = assert(other:transact "reason")
    if reason ~= "" then
      break
    end
    pipe.sleep(10)
  end
  assert(other:transact "forget")
  other:close()
  print(("%s\t%s\t%s\t%.0f"):format(way, (reply or code):gsub("%s", " "), reason, answered))
end

for _, way in ipairs { ... } do
  try(way)
end
