-- SPDX-License-Identifier: MIT
-- The server of ServerInfo: a client asks (as often as it likes), gets the
-- structure each time, and says END.
--
--   pipehost serve scripts/server_info/server.lua [--set pipe=NAME]
local pipehost = require "pipehost"
local hex = require "pipehost.hex"
local protocol = require "protocol"

local AGE = 3

local function show(conn, direction, bytes)
  pipehost.log.debug(function()
    return direction .. " " .. hex.line(bytes), { connection = conn.id }
  end)
end

pipehost.server {
  name = pipehost.config.pipe or protocol.PIPE,
  mode = "message",
  timeout = protocol.TIMEOUT,
  idle_timeout = protocol.TIMEOUT,

  on_message = function(conn, message)
    show(conn, "<", message)
    local request, code, info = protocol.Flag:unpack(message)
    if not request then
      return nil, code, info
    elseif request.flag == protocol.END then
      conn:close()
      return
    elseif request.flag ~= protocol.ASK then
      return nil, "protocol", ("unknown flag %d"):format(request.flag)
    end
    local reply = protocol.ServerInfo:pack { iFage = AGE }
    show(conn, ">", reply)
    return reply
  end,
}
