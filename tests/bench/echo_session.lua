-- SPDX-License-Identifier: MIT
-- The same in direct style: a coroutine for each connection.
local pipehost = require "pipehost"

pipehost.server {
  name = "bench",
  session = function(conn)
    for message in conn:messages() do
      conn:send(message)
    end
  end,
}
