-- SPDX-License-Identifier: MIT
-- For n = FIRST, FIRST + STEP, …: the n-th allocation fails that malloc.lua's
-- host makes from now on, while a client comes, asks and goes, or while it is
-- loaded again. One that stays is not to be hurt by another's.
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local config = pipehost.config
local name, n, step = config.name, tonumber(config.first), tonumber(config.step)
local options = { mode = "message", timeout = 10000, max_message = 262144 }
local LAST = 5 -- in a row that were not reached

-- Was the one before reached?
local function arm(count)
  local file <close> = assert(io.open(config.file, "r+b"))
  local _, failed = ("i8i8"):unpack(file:read(16))
  file:seek "set"
  file:write(("i8i8"):pack(count, 0))
  return failed == 1
end

local function open(wanted)
  return assert(pipe.open(wanted, options))
end

-- The reply, after what is posted; or how it ended.
local function ask(conn)
  local ok, code = conn:send "x"
  local reply
  while ok do
    reply, code = conn:receive()
    if reply ~= "posted" and reply ~= "all" then
      break
    end
  end
  return reply, code
end

local stays = open(name .. "-echo")

-- A load that goes on behind a control pipe that was lost ends the tasks of the
-- handlers that it finds; never those of the next ones.
local function check_others()
  assert(assert(stays:transact "stays") == "stays")
  local echo <close> = open(name .. "-echo")
  assert(assert(echo:transact "new") == "new")
  local reply, code
  for _ = 1, config.act == "load" and 20 or 1 do
    local conn <close> = open(name)
    reply, code = ask(conn)
    if reply then
      break
    end
    pipe.sleep(50)
  end
  assert(reply == "X", code)
end

local function visit()
  local conn, code = pipe.open(name, options)
  if conn then
    local reply
    reply, code = ask(conn)
    assert(reply == "X" or code == "closed", reply or code)
    conn:close()
  else
    assert(code == "closed" or code == "absent", code)
  end
  pipe.sleep(2)
end

local function reload()
  local control <close> = open(config.control)
  local reply, code = control:transact "reload\nforce=yes"
  assert(reply or code == "closed", code)
  assert(not reply or reply:find "^0\n" or reply:find "memory", reply)
end

local act = config.act == "load" and reload or visit
local missed, last = 0, 0
check_others()
repeat
  arm(n)
  act()
  if arm(0) then
    last, missed = n, 0
  else
    missed = missed + 1
  end
  local ok, message = pcall(check_others)
  if not ok then
    error(("allocation %d: %s"):format(n, message))
  end
  n = n + step
until missed == LAST
print(last)
