-- SPDX-License-Identifier: MIT
-- Served by nomem_host_test.py: handlers that have the host itself allocate.
local pipehost = require "pipehost"
local pipe = pipehost.pipe
local name = pipehost.config.name
local shared = pipehost.shared "nomem"

pipehost.server {
  name = name .. "-echo",
  on_message = function(_, message)
    return message
  end,
}

local crowd = pipehost.server {
  name = name .. "-crowd",
  on_message = function(_, message)
    return message
  end,
}

local function note(ok, code)
  assert(ok, code)
end

pipehost.server {
  name = name,
  on_open = function(conn)
    conn.state.seen = 0
  end,
  on_message = function(conn, message)
    local key = "key " .. conn.id
    conn.state.seen = conn.state.seen + 1
    note(shared:set(key, { message, { conn.state.seen } }))
    note(shared:add(key .. "n", 1))
    note(shared:set(key, ("long"):rep(5000)))
    note(shared:set(key, nil))
    note(shared:set(key .. "n", nil))
    crowd:broadcast "all"
    crowd:broadcast(("all"):rep(9000))
    note(conn:post "posted")
    local task = pipe.spawn(function()
      return pipe.call(name .. "-echo", "x", { timeout = 20000 })
    end)
    local _, reply, code = task:wait()
    note(reply == "x", code)
    local other <close> = assert(pipe.open(name .. "-echo", { mode = "message", timeout = 20000 }))
    local reading <close> = other:receive_op()
    note(other:send(("y"):rep(20000)))
    reading:wait()
    pipe.sleep(1)
    return message
  end,
}
