-- SPDX-License-Identifier: MIT
-- A room: the first message of a client is its name, each further one goes to
-- everybody else.
--
--   pipehost serve scripts/examples/chat_server.lua [--set pipe=NAME]
local pipehost = require "pipehost"

-- Who does not read misses what no longer fits into his queue.
local function tell_others(server, from, text)
  for other in server:connections() do
    if other ~= from and other.state.name then
      other:post(text)
    end
  end
end

pipehost.server {
  name = pipehost.config.pipe or "Chat",
  timeout = 1000,
  max_message = 4096,

  on_message = function(conn, message)
    local name = conn.state.name
    if name then
      tell_others(conn.server, conn, name .. ": " .. message)
      return
    end
    conn.state.name = message
    tell_others(conn.server, conn, "* " .. message .. " joins")
    return "* welcome, " .. message
  end,

  on_close = function(conn, reason)
    local name = conn.state.name
    if name then
      tell_others(conn.server, conn, ("* %s leaves (%s)"):format(name, reason))
    end
  end,
}
