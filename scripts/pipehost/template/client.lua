-- Sends its arguments to server.lua, one message each, and prints the replies.
local pipehost = require "pipehost"

local names = #arg > 0 and arg or { "world" }

return pipehost.client(pipehost.config.pipe or "@NAME@", { timeout = 3000 }, function(conn)
  for _, name in ipairs(names) do
    local reply, code, info = conn:transact(name)
    if not reply then
      return nil, code, info
    end
    print(reply)
  end
  return true
end)
