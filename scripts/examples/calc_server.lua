-- SPDX-License-Identifier: MIT
-- A service with structures: each request gets one reply, which has its id.
--
--   pipehost serve scripts/examples/calc_server.lua [--set pipe=NAME]
local pipehost = require "pipehost"
local protocol = require "calc_protocol"

local operations = {}

function operations.add(a, b)
  return a + b
end

function operations.subtract(a, b)
  return a - b
end

function operations.multiply(a, b)
  return a * b
end

function operations.divide(a, b)
  if b == 0 then
    return nil, "division_by_zero"
  end
  return a / b
end

pipehost.server {
  name = pipehost.config.pipe or "Calc",
  timeout = 3000,

  on_message = function(_, message)
    local request, code, info = protocol.Request:unpack(message)
    if not request then
      return nil, code, info -- not what was agreed: a log line, and the client is closed
    end
    local result, status = operations[request.operation](request.a, request.b)
    return protocol.Reply:pack { id = request.id, status = status or "ok", result = result }
  end,
}
