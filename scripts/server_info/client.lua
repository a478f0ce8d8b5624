-- SPDX-License-Identifier: MIT
-- The client's handshake with ServerInfo.
--
--   pipehost run scripts/server_info/client.lua [NAME]
local pipehost = require "pipehost"
local hex = require "pipehost.hex"
local protocol = require "protocol"

local name = ...
local steps = pipehost.steps

local result, code, info = pipehost.handshake {
  pipe = name or protocol.PIPE,
  timeout = protocol.TIMEOUT,
  retry = { times = 3, backoff = 200 },
  trace = function(direction, bytes)
    print(direction .. " " .. hex.line(bytes))
  end,
  steps = {
    steps.send(protocol.flag(protocol.ASK), { name = "ask" }),
    steps.expect(protocol.ServerInfo, { name = "answer", as = "info" }),
    steps.send(protocol.flag(protocol.END), { name = "end" }),
    steps.close(),
  },
}
if not result then
  return nil, code, info
end
print("iFage = " .. result.info.iFage)
