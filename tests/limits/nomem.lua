-- SPDX-License-Identifier: MIT
-- Served by nomem_test.py: servers of both styles whose handlers allocate in many
-- ways, and a pipe that says which allocation is to fail.
local pipehost = require "pipehost"
local core = require "pipehost.core"
local pipe = pipehost.pipe
local name = pipehost.config.name

local Pair = pipehost.struct("<", { { "one", "i4" }, { "two", "c4" } })

local function work(conn, message)
  local state = conn.state
  state.list = state.list or {}
  table.insert(state.list, message .. #state.list)
  local co = coroutine.wrap(function(x)
    return "(" .. coroutine.yield(x .. 1) .. ")"
  end)
  local text = co(message) .. co(message)
  local op <close> = conn:receive_op()
  local event = pipe.event()
  local task = pipe.spawn(function()
    pipe.sleep(0)
    event:set()
    return { text:upper() }
  end)
  pipe.wait_any { event, op, task }
  local _, value = task:wait()
  local _, code, info = pipe.open(name .. "-absent", { wait = "no" })
  assert(code == "absent" and #tostring(info) > 0)
  local bytes = Pair:pack { one = #text, two = "abcd" }
  assert(Pair:unpack(bytes).one == #text)
  assert(load "return 1"() == 1)
  pipehost.log.debug("worked", { message = message })
  return value[1]
end

local last_reason
local function handlers(options)
  options.on_open = function(conn)
    conn.state.opened = { conn.id, tostring(conn) }
  end
  options.on_close = function(conn, reason)
    last_reason = reason .. tostring(conn.state.opened and conn.state.opened[1])
  end
  options.on_error = function(conn, message)
    conn.state.message = message .. tostring(last_reason)
  end
  return options
end

pipehost.server(handlers { name = name, on_message = work })

pipehost.server(handlers {
  name = name .. "-session",
  session = function(conn)
    for message in conn:messages() do
      assert(conn:send(work(conn, message)))
    end
  end,
})

-- "N" or "N load": the N-th allocation from now on fails, here or in the state
-- that is made next. Tells whether the one before has.
pipehost.server {
  name = name .. "-arm",
  on_message = function(_, message)
    local n, load = message:match "^(%d+) ?(%a*)$"
    return core.fail_allocation(tonumber(n), load == "load") and "failed" or "not reached"
  end,
}
