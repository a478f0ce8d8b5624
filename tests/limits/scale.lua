-- SPDX-License-Identifier: MIT
-- Served by scale_test.py.
local pipehost = require "pipehost"

pipehost.server {
  name = pipehost.config.name,
  on_message = function(_, message)
    return message
  end,
}

pipehost.server {
  name = pipehost.config.name .. "-session",
  session = function(conn)
    for message in conn:messages() do
      assert(conn:send(message))
    end
  end,
}
