-- SPDX-License-Identifier: MIT
-- Sends its arguments to echo_server.lua, one message each, and prints what comes back.
--
--   pipehost run scripts/examples/echo_client.lua NAME TEXT...
local pipehost = require "pipehost"

local name, texts = ..., table.pack(select(2, ...))

return pipehost.client(name or "Echo", { mode = "message", timeout = 3000 }, function(conn)
  for _, text in ipairs(texts) do
    print(assert(conn:transact(text)))
  end
  return true
end)
