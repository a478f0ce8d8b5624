-- SPDX-License-Identifier: MIT
-- Served by malloc_linux_test.py: a handler that uses all that allocates outside
-- of Lua: state, shared, posts, broadcasts, other pipes, operations, tasks, timers.
local pipehost = require "pipehost"
local pipe = pipehost.pipe
local name = pipehost.config.name

local shared = pipehost.shared(name)
local server

local function work(conn, message)
  conn.state.list = { message, { message } }
  assert(shared:set("key", conn.state.list))
  assert(shared:add("count " .. conn.id, 1))
  assert(shared:set("key " .. conn.id, ("v"):rep(5000)))
  assert(shared:set("key " .. conn.id, nil))
  assert(shared:set("count " .. conn.id, nil))
  assert(conn:post "posted")
  server:broadcast("all", conn)
  server:broadcast(("all"):rep(9000), conn)
  local other <close> = assert(pipe.open(name .. "-echo", { mode = "message" }))
  assert(other:send(message))
  local task = pipe.spawn(function()
    pipe.sleep(1)
    return pipe.call(name .. "-echo", message, { timeout = 20000 })
  end)
  assert(pipe.wait_any { other:receive_op(), task })
  local _, reply, code = task:wait()
  assert(reply == message, code)
  assert(other:transact(message:rep(20000)))
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
