-- SPDX-License-Identifier: MIT
-- Joins the room of chat_server.lua, says something, and prints what the others
-- say for a while.
--
--   pipehost run scripts/examples/chat_client.lua NAME WHO MILLISECONDS [TEXT...]
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local name, who, stay = ...
local texts = table.pack(select(4, ...))

return pipehost.client(name or "Chat", { mode = "message", timeout = 3000 }, function(conn)
  print(assert(conn:transact(who or "somebody")))
  for _, text in ipairs(texts) do
    assert(conn:send(text))
  end
  local until_ms = pipe.now() + (tonumber(stay) or 10000)
  while true do
    local message, code, info = conn:receive(math.max(until_ms - pipe.now(), 0))
    if code == "timeout" then
      return true
    elseif not message then
      return nil, code, info
    end
    print(message)
  end
end)
