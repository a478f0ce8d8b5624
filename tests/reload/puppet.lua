-- SPDX-License-Identifier: MIT
-- Clients on strings: does what the lines of its stdin say, and answers each with
-- a line. It waits for stdin by blocking, which is fine for one that only does
-- what it is told.
local pipe = require("pipehost").pipe

local MS = 30000
local conns, commands = {}, {}

local function outcome(value, code, info)
  if value == nil then
    return "-" .. tostring(code) .. " " .. tostring(info)
  end
  return "+" .. (value == true and "" or tostring(value))
end

function commands.open(id, name)
  local conn, code, info = pipe.open(name, { timeout = MS })
  conns[id] = conn
  return outcome(conn and true, code, info)
end

function commands.ask(id, text)
  return outcome(conns[id]:transact(text, MS))
end

function commands.send(id, text)
  return outcome(conns[id]:send(text, MS))
end

function commands.receive(id, ms)
  return outcome(conns[id]:receive(tonumber(ms) or MS))
end

-- Bytes in hex, as they are.
function commands.write(id, hex)
  local bytes = hex:gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return outcome(conns[id]:write(bytes, MS))
end

function commands.read(id, count)
  return outcome(conns[id]:read_exact(tonumber(count), MS))
end

function commands.close(id)
  conns[id]:close()
  conns[id] = nil
  return "+"
end

io.stdout:setvbuf "line"
print "ready"
for line in io.lines() do
  local name, id, rest = line:match "^(%S+) ?(%S*) ?(.-)\r?$"
  print(commands[name](id, rest))
end
