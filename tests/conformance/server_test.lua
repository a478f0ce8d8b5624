-- SPDX-License-Identifier: MIT
-- pipehost.server: handlers, their connections, and the end of both.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local tests = {}

-- A server of a fresh name, whose on_close reasons are gathered.
local function serve(options)
  local reasons, ended = {}, pipe.event()
  options.name = t.name()
  options.on_close = function(_, reason)
    reasons[#reasons + 1] = reason
    ended:set()
  end
  local server = pipehost.server(options)
  local function reason()
    assert(ended:wait(5000))
    return table.concat(reasons, " ")
  end
  return server, reason
end

local function open(server)
  return assert(pipe.open(server.name, { wait = "free", timeout = 5000 }))
end

local function echo(_, message)
  return message
end

function tests.test_on_message_replies()
  local server, reason = serve { on_message = echo }
  local client = open(server)
  for _, message in ipairs { "one", "", "three" } do
    t.assertEquals(client:transact(message, 5000), message)
  end
  client:close()
  t.assertEquals(reason(), "closed")
end

function tests.test_no_reply_for_nil()
  local server = serve {
    on_message = function(_, message)
      if message == "answer" then
        return "42"
      end
    end,
  }
  local client = open(server)
  assert(client:send "nothing")
  t.assertEquals(client:transact("answer", 5000), "42")
  ends.fails("timeout", client:receive(0))
end

function tests.test_what_a_connection_has()
  local seen = {}
  local server = serve {
    on_open = function(conn)
      conn.state.count = 0
    end,
    on_message = function(conn, message)
      seen.id, seen.server, seen.generation = conn.id, conn.server, conn.generation
      conn.state.count = conn.state.count + #message
      seen.pid = conn:peer().pid
      return tostring(conn.state.count)
    end,
  }
  local first, second = open(server), open(server)
  t.assertEquals(first:transact("ab", 5000), "2")
  t.assertEquals(first:transact("cde", 5000), "5")
  local id = seen.id
  t.assertEquals(second:transact("f", 5000), "1")
  t.assertNotEquals(seen.id, id)
  t.assertTrue(rawequal(seen.server, server))
  t.assertIsNumber(seen.generation)
  t.assertTrue(seen.pid > 0)
end

function tests.test_one_handler_at_a_time_for_each_connection_but_many_connections()
  local running, most, inside = 0, 0, {}
  local server = serve {
    on_message = function(conn, message)
      t.assertNil(inside[conn.id])
      inside[conn.id] = true
      running = running + 1
      most = math.max(most, running)
      pipe.sleep(5)
      running = running - 1
      inside[conn.id] = nil
      return message
    end,
  }
  local tasks = {}
  for i = 1, 20 do
    tasks[i] = pipe.spawn(function()
      local client = open(server)
      for j = 1, 5 do
        assert(client:send(i .. ":" .. j))
      end
      for j = 1, 5 do
        t.assertEquals(client:receive(10000), i .. ":" .. j)
      end
      client:close()
    end)
  end
  for i = 1, 20 do
    ends.join(tasks[i])
  end
  t.assertTrue(most > 1, most)
end

function tests.test_a_session()
  local server, reason = serve {
    session = function(conn)
      for message in conn:messages() do
        assert(conn:send(message:upper()))
        if message == "bye" then
          return
        end
      end
    end,
  }
  local client = open(server)
  t.assertEquals(client:transact("a", 5000), "A")
  t.assertEquals(client:transact("bye", 5000), "BYE")
  ends.fails("closed", client:receive(5000))
  t.assertEquals(reason(), "closed")
end

function tests.test_a_session_on_bytes()
  local server = serve {
    mode = "byte",
    session = function(conn)
      for line in conn:lines() do
        assert(conn:write(line:reverse() .. "\n"))
      end
    end,
  }
  local client = open(server)
  assert(client:write "abc\nde")
  t.assertEquals(client:read_line(5000), "cba")
  assert(client:write "f\r\n")
  t.assertEquals(client:read_line(5000), "fed")
end

function tests.test_max_instances()
  local server = serve { on_message = echo, max_instances = 2, backlog = 1 }
  local clients = { open(server), open(server) }
  for _, client in ipairs(clients) do
    t.assertEquals(client:transact("x", 5000), "x")
  end
  local waiting = t.system == "linux" and open(server)
  ends.fails("busy", pipe.open(server.name))
  ends.fails("timeout", pipe.open(server.name, { wait = "free", timeout = 30 }))
  clients[1]:close()
  local third = waiting or open(server)
  t.assertEquals(third:transact("x", 5000), "x")
end

function tests.test_connections()
  local server = serve { on_message = echo }
  t.assertNil(server:connections()())
  local clients = { open(server), open(server), open(server) }
  for _, client in ipairs(clients) do
    t.assertEquals(client:transact("x", 5000), "x")
  end
  local ids = {}
  for conn in server:connections() do
    ids[conn.id] = true
    assert(conn:send "to all")
  end
  t.assertEquals(ids, { true, true, true })
  for _, client in ipairs(clients) do
    t.assertEquals(client:receive(5000), "to all")
    client:close()
  end
  t.eventually(function()
    return not server:connections()()
  end)
end

function tests.test_declarations_that_are_none()
  local name = t.name()
  for part, options in pairs {
    ["option 'name'"] = { on_message = echo },
    ["needs one of on_message, session and steps"] = { name = name },
    ["needs one of on_message"] = { name = name, on_message = echo, session = echo },
    ["needs option 'frame'"] = { name = name, mode = "byte", on_message = echo },
    ["'on_message' is a function"] = { name = name, on_message = "echo" },
    ["'timeout' is a number"] = { name = name, on_message = echo, timeout = "5 s" },
    ["'idle_timeout' is a number"] = { name = name, on_message = echo, idle_timeout = 0 },
    ["'on_error' is"] = { name = name, on_message = echo, on_error = "ignore" },
    ["'mode' is one of"] = { name = name, session = echo, mode = "stream" },
  } do
    ends.raises(part, pipehost.server, options)
  end
  ends.fails("absent", pipe.open(name))
end

function tests.test_a_name_twice()
  local server = serve { on_message = echo }
  ends.raises("twice", pipehost.server, { name = server.name:upper(), on_message = echo })
  local taken = t.name()
  local instance <close> = assert(pipe.create(taken)) -- luacheck: ignore 211
  ends.raises("exists", pipehost.server, { name = taken, first = true, on_message = echo })
end

return tests
