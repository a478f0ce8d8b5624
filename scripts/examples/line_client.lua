-- SPDX-License-Identifier: MIT
-- Sends each argument as a line to line_server.lua and prints the answers.
--
--   pipehost run scripts/examples/line_client.lua NAME LINE...
local pipehost = require "pipehost"

local name, lines = ..., table.pack(select(2, ...))

return pipehost.client(name or "Sum", { mode = "byte", frame = "lines", timeout = 3000 }, function(conn)
  for _, line in ipairs(lines) do
    assert(conn:send(line))
  end
  assert(conn:send "quit")
  for answer in conn:messages() do
    print(answer)
  end
  return true
end)
