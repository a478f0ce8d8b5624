-- SPDX-License-Identifier: MIT
-- The same on a byte pipe, as a session: what the peers' servers do.
local pipehost = require "pipehost"

pipehost.server {
  name = "bench",
  mode = "byte",
  session = function(conn)
    for data in function() return conn:read(65536) end do
      conn:write(data)
    end
  end,
}
