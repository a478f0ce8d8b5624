-- SPDX-License-Identifier: MIT
-- For n = FIRST, FIRST + STEP, … the host's n-th allocation fails while a client
-- comes, asks and goes, or while the script is reloaded. Afterwards one that
-- comes is served. A member of the crowd gets all messages or is cut off.
-- Prints how many failed.
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local config = pipehost.config
local name, first, step = config.name, tonumber(config.first), tonumber(config.step)
local most = tonumber(config.most)
local options = { mode = "message", timeout = 20000, max_message = 262144 }
local LAST = 5 -- in a row that were not reached
local PLAN = "<i8i8"

local plan = assert(io.open(config.file, "r+b"))
plan:setvbuf "no"
local function arm(n)
  plan:seek("set", 0)
  local _, failed = string.unpack(PLAN, plan:read(16))
  plan:seek("set", 0)
  plan:write(PLAN:pack(n, 0))
  return failed == 1
end

local function open(suffix)
  return assert(pipe.open(name .. suffix, options))
end

-- What was posted and the reply, or the end of the connection; no silence.
local function visit()
  local conn = open ""
  local good = false
  if conn:send "x" then
    local reply, code = conn:receive()
    if reply == "posted" then
      reply, code = conn:receive()
    end
    good = reply == "x"
    assert(good or code == "closed", reply or code)
  end
  conn:close()
  return good
end

local member
local function check_crowd(whole)
  local got, code = {}, nil
  local ok = member:send "end"
  while ok do
    local reply
    reply, code = member:receive()
    if not reply or reply == "end" then
      break
    end
    got[#got + 1] = #reply
  end
  if ok and not code then
    -- Both broadcasts, or what came before the handler failed.
    assert(not whole or (got[1] == 3 and got[2] == 27000), "a broadcast was lost")
    assert(not got[1] or got[1] == 3, "the first broadcast was lost")
  else
    assert(not code or code == "closed", code)
    member:close()
    member = open "-crowd"
    assert(member:transact "ready")
  end
end

local function reload()
  local control = open "-control"
  local reply = control:transact "reload\nforce=yes"
  control:close()
  return reply and reply:sub(1, 2) == "0\n"
end

local act = config.load == "yes" and reload or visit
member = open "-crowd"
assert(member:transact "ready")
local n, missed, failed, clean = first, 0, 0, 0
repeat
  arm(n)
  local good = act()
  if arm(0) then
    failed, missed = failed + 1, 0
  else
    missed = missed + 1
  end
  clean = clean + (good and 1 or 0)
  if act == visit then
    check_crowd(good)
  end
  assert(visit(), "a later client is not served")
  check_crowd(true)
  n = n + step
until missed == LAST or (most > 0 and n > most)
print(("%d failed, %d went well"):format(failed, clean))
