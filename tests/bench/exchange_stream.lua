-- SPDX-License-Identifier: MIT
-- The exchange of scripts/server_info on a byte pipe, which is what the peers
-- can do.
local pipehost = require "pipehost"

local ANSWER = ("<i4"):pack(3)

pipehost.server {
  name = "ServerInfo",
  mode = "byte",
  session = function(conn)
    while true do
      local request = conn:read_exact(4)
      if not request or ("<I4"):unpack(request) ~= 1 then
        return
      end
      conn:write(ANSWER)
    end
  end,
}
