-- SPDX-License-Identifier: MIT
-- Stands between clients and another message pipe, and logs what they say.
--
--   pipehost serve scripts/examples/proxy_server.lua --set to=Echo [--set pipe=NAME]
--
-- Its client is any client of that pipe:
--   pipehost run scripts/examples/echo_client.lua Proxy hello
local hex = require "pipehost.hex"
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local TO = pipehost.config.to or "Echo"

local function log(conn, direction, message)
  pipehost.log.info(direction .. " " .. hex.line(message), { connection = conn.id })
end

-- Both reads are under way at once; what one of them brings goes on to the other
-- side. Gives the side that ended the conversation.
local function pass_messages(conn, behind)
  local asked, answered = conn:receive_op(), behind:receive_op()
  while true do
    local done = pipe.wait_any { asked, answered }
    local message = done:result()
    if not message then
      return done == asked and "client" or "server"
    elseif done == asked then
      log(conn, ">", message)
      if not behind:send(message, 3000) then
        return "server"
      end
      asked = conn:receive_op()
    else
      log(conn, "<", message)
      if not conn:send(message, 3000) then
        return "client"
      end
      answered = behind:receive_op()
    end
  end
end

pipehost.server {
  name = pipehost.config.pipe or "Proxy",

  session = function(conn)
    local behind <close>, _, info = pipe.open(TO, { mode = "message", wait = "free", timeout = 3000 })
    if not behind then
      pipehost.log.warn(info, { connection = conn.id })
      return
    end
    local ended = pass_messages(conn, behind)
    pipehost.log.info("ended by the " .. ended, { connection = conn.id })
  end,
}
