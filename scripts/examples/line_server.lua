-- SPDX-License-Identifier: MIT
-- A byte pipe with lines: sums up the numbers of each line; "quit" ends it.
--
--   pipehost serve scripts/examples/line_server.lua [--set pipe=NAME]
local pipehost = require "pipehost"

local function sum(line)
  local total = 0
  for word in line:gmatch "%S+" do
    local number = tonumber(word)
    if not number then
      return ("error: '%s' is no number"):format(word)
    end
    total = total + number
  end
  return ("%g"):format(total)
end

pipehost.server {
  name = pipehost.config.pipe or "Sum",
  mode = "byte",

  session = function(conn)
    for line in conn:lines() do
      if line == "quit" then
        break
      end
      assert(conn:write(sum(line) .. "\n", 3000))
    end
  end,
}
