-- SPDX-License-Identifier: MIT
-- What the benchmarks measure: the shortest handler there is.
local pipehost = require "pipehost"

pipehost.server {
  name = "bench",
  on_message = function(_, message)
    return message
  end,
}
