-- SPDX-License-Identifier: MIT
-- usage: lua5.4 cqueues.lua PATH [--exchange]: the server on cqueues.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local function echo(client)
  for data in function() return client:read(-65536) end do
    client:write(data)
  end
end

local ANSWER = string.pack("<i4", 3)

local function exchange(client)
  for data in function() return client:read(-4) end do
    if string.unpack("<I4", data) ~= 1 then
      return
    end
    client:write(ANSWER)
  end
end

local serve = arg[2] == "--exchange" and exchange or echo
local loop = cqueues.new()
local server = assert(socket.listen { path = arg[1] })
assert(server:listen())
print "listening"
loop:wrap(function()
  for client in server:clients() do
    loop:wrap(function()
      client:setmode("bn", "bn")
      serve(client)
      client:close()
    end)
  end
end)
assert(loop:loop())
