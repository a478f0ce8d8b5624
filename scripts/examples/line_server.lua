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
  frame = "lines", -- so that messages are lines, without their ends
  max_message = 4096,
  timeout = 3000,

  on_message = function(conn, line)
    if line == "quit" then
      conn:close()
      return
    end
    return sum(line)
  end,
}
