-- SPDX-License-Identifier: MIT
-- A handler that computes about 200 us and then echoes.
local pipehost = require "pipehost"

local ROUNDS = 40000

pipehost.server {
  name = "bench", workers = "all",
  on_message = function(_, message)
    local x = 1
    for i = 1, ROUNDS do
      x = (x * 5 + i) & 0xFFFF
    end
    return x >= 0 and message or nil
  end,
}
