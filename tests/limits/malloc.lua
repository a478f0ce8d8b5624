-- SPDX-License-Identifier: MIT
-- Served by malloc_linux_test.py: a handler that uses all that allocates outside
-- of Lua: state, shared, posts, other pipes, tasks, timers.
local pipehost = require "pipehost"
local pipe = pipehost.pipe
local name = pipehost.config.name

local shared = pipehost.shared(name)
local server

local function work(conn, message)
  conn.state.list = { message, { message } }
  assert(shared:set("key", conn.state.list))
  assert(shared:set("key " .. conn.id, ("v"):rep(300)))
  assert(shared:set("key " .. conn.id, nil))
  assert(conn:post "posted")
  server:broadcast("all", conn)
  local other <close> = assert(pipe.open(name .. "-echo", { mode = "message" }))
  assert(other:send(message))
  local task = pipe.spawn(function()
    pipe.sleep(1)
    return "done"
  end)
  assert(pipe.wait_any { other:receive_op(), task })
  assert(task:wait())
  return message:upper()
end

server = pipehost.server { name = name, mode = "message", on_message = work }

pipehost.server {
  name = name .. "-echo",
  mode = "message",
  on_message = function(_, message)
    return message
  end,
}
