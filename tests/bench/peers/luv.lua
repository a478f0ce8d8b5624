-- SPDX-License-Identifier: MIT
-- usage: lua5.4 luv.lua PATH [--exchange]: the server on luv (libuv).
local uv = require "luv"

local function echo(client, data)
  client:write(data)
end

local ANSWER = string.pack("<i4", 3)

local function exchange(client, data)
  if string.unpack("<I4", data) == 1 then
    client:write(ANSWER)
  else
    client:close()
  end
end

local on_data = arg[2] == "--exchange" and exchange or echo
local server = uv.new_pipe(false)
assert(server:bind(arg[1]))
assert(server:listen(4096, function(failed)
  assert(not failed, failed)
  local client = uv.new_pipe(false)
  server:accept(client)
  client:read_start(function(_, data)
    if data then
      on_data(client, data)
    elseif not client:is_closing() then
      client:close()
    end
  end)
end))
print "listening"
uv.run()
