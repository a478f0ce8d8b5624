-- SPDX-License-Identifier: MIT
-- Tests of the exchange: the server against a scripted client, the client against
-- a scripted server, and both against each other.
--
--   pipehost test scripts/server_info
local pipehost = require "pipehost"
local protocol = require "protocol"
local t = require "pipehost.test"

local steps = pipehost.steps
local ASK, END = protocol.flag(protocol.ASK), protocol.flag(protocol.END)
local MS = 10000 -- nothing here takes that long

local tests = {}

-- The server of server.lua, on a pipe that nobody else has.
local function serve(options)
  local name = t.name()
  options = options or {}
  options.names = { [protocol.PIPE] = name }
  return name, t.server("server.lua", options)
end

-- What a client says and hears that asks so many times.
local function exchange(times)
  local list = {}
  for i = 1, times do
    table.insert(list, steps.send(ASK, { name = "ask " .. i }))
    table.insert(list, steps.expect(protocol.ServerInfo, {
      name = "answer " .. i, as = "info", fields = { iFage = 3 },
    }))
  end
  table.insert(list, steps.send(END, { name = "end" }))
  table.insert(list, steps.expect_close())
  return list
end

-- The server --------------------------------------------------------------------

function tests.test_the_exchange()
  local name = serve()
  local captures = t.client { pipe = name, timeout = MS, steps = exchange(1) }
  t.assertEquals(captures.info.iFage, 3)
end

function tests.test_a_client_may_ask_several_times()
  t.client { pipe = serve(), timeout = MS, steps = exchange(5) }
end

function tests.test_the_server_goes_on_with_the_next_client()
  local name = serve()
  for _ = 1, 3 do
    t.client { pipe = name, timeout = MS, steps = exchange(1) }
  end
end

function tests.test_clients_side_by_side()
  local name, tasks = serve(), {}
  for i = 1, 10 do
    tasks[i] = pipehost.pipe.spawn(t.client, { pipe = name, timeout = MS, steps = exchange(3) })
  end
  t.assertTrue(pipehost.pipe.wait_all(tasks, MS))
  for _, task in ipairs(tasks) do
    task:wait()
  end
end

function tests.test_every_bit_of_the_answer()
  local reply = assert(pipehost.pipe.call(serve(), ASK, { timeout = MS }))
  t.equal_bytes(reply, "\3\0\0\0")
end

function tests.test_what_is_no_flag_ends_the_connection()
  local name = serve()
  for _, bytes in ipairs { "", "\1", "\1\0\0", "\1\0\0\0\0", "\3\0\0\0", "\0\0\0\1" } do
    t.client { pipe = name, timeout = MS, steps = { steps.send(bytes), steps.expect_close() } }
  end
  t.client { pipe = name, timeout = MS, steps = exchange(1) }
end

function tests.test_a_silent_client_is_let_go()
  local name = serve()
  t.client { pipe = name, timeout = MS, steps = { steps.expect_close() } }
end

-- The client --------------------------------------------------------------------

-- The client of client.lua against a server that says what it is told to.
local function client_of(list)
  local mock = t.server { steps = list, timeout = MS }
  return t.client("client.lua", { names = { [protocol.PIPE] = mock.name }, child = true })
end

function tests.test_the_client_asks_and_says_end()
  local client = client_of {
    steps.expect(ASK, { name = "ask" }),
    steps.send(protocol.ServerInfo:pack { iFage = -42 }),
    steps.expect(END, { name = "end" }),
    steps.expect_close(),
  }
  t.assertEquals(client:wait(MS), 0)
  client:expect "iFage = %-42\n"
end

function tests.test_an_answer_that_is_too_short()
  local client = client_of { steps.expect(ASK), steps.send "\3\0\0", steps.expect_close() }
  t.assertEquals(client:wait(MS), 1)
  client.stderr:expect "step 2 %(answer%)"
end

-- Both ----------------------------------------------------------------------------

function tests.test_client_and_server()
  local client = t.client("client.lua", { names = { [protocol.PIPE] = serve { child = true } }, child = true })
  t.assertEquals(client:wait(MS), 0)
  t.assertEquals(client.stdout.text, "> 01 00 00 00  |....|\n< 03 00 00 00  |....|\n> 02 00 00 00  |....|\niFage = 3\n")
end

return tests
