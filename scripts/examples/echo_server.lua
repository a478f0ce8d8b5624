-- SPDX-License-Identifier: MIT
-- Sends every message back.
--
--   pipehost serve scripts/examples/echo_server.lua [--set pipe=NAME]
local pipehost = require "pipehost"

pipehost.server {
  name = pipehost.config.pipe or "Echo",
  idle_timeout = 60000,
  on_message = function(_, message)
    return message
  end,
}
