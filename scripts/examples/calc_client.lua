-- SPDX-License-Identifier: MIT
-- Asks calc_server.lua, and prints the result.
--
--   pipehost run scripts/examples/calc_client.lua NAME A OPERATION B
--   pipehost run scripts/examples/calc_client.lua Calc 6 multiply 7
local pipehost = require "pipehost"
local protocol = require "calc_protocol"
local steps = pipehost.steps

local name, a, operation, b = ...
a, b = tonumber(a), tonumber(b)
if not (a and b and operation) then
  error("usage: calc_client.lua NAME A add|subtract|multiply|divide B", 0)
end

local ID = 1

local result, code, info = pipehost.handshake {
  pipe = name,
  timeout = 3000,
  steps = {
    steps.send(protocol.Request, { id = ID, operation = operation, a = a, b = b }, { name = "ask" }),
    -- The reply is to have our id; anything else ends the handshake.
    steps.expect(protocol.Reply, { name = "reply", as = "reply", fields = { id = ID } }),
  },
}
if not result then
  return nil, code, info
elseif result.reply.status ~= "ok" then
  print(result.reply.status)
  return 1
end
print(("%g"):format(result.reply.result))
