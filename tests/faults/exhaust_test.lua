-- SPDX-License-Identifier: MIT
-- t.exhaust: each operation fails in its turn.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local steps = pipehost.steps
local LONG = 10000
local SERVER_INFO = "../../scripts/server_info"

local tests = {}

local Flag = pipehost.struct("<", { { "flag", "i4" } })
local Info = pipehost.struct("<", { { "iFage", "i4" } })

-- The exchange of ServerInfo, its server a script: a client either has the value
-- or is told why not, and in time; the server goes on with the next client.
local function exchange(name)
  return pipehost.handshake {
    pipe = name, timeout = LONG,
    steps = {
      steps.send(Flag:pack { flag = 1 }, { name = "ask" }), steps.expect(Info, { as = "info" }),
      steps.send(Flag:pack { flag = 2 }, { name = "end" }), steps.expect_close(),
    },
  }
end

function tests.test_the_exchange_of_server_info()
  local failures = {}
  local count = t.exhaust(function(name)
    t.server(SERVER_INFO .. "/server.lua", { names = { ServerInfo = name } })
    local failed = 0
    for _ = 1, 3 do
      local result, code, info = exchange(name)
      if result then
        t.assertEquals(result.info.iFage, 3)
      else
        failed = failed + 1
        t.assertStrContains(tostring(info), code)
        failures[code] = true
      end
    end
    t.assertTrue(failed <= 1, failed)
  end)
  -- of each of three conversations: open, connect, 3 writes, 5 reads; not all of
  -- the last one's are over when the client has ended
  t.assertTrue(count >= 24 and count <= 30, count)
  t.assertEquals(failures, { denied = true, closed = true })
end

function tests.test_only_the_client()
  local failed = {}
  local count = t.exhaust(function(name)
    t.server(SERVER_INFO .. "/server.lua", { names = { ServerInfo = name } })
    local result, code = exchange(name)
    failed[#failed + 1] = result and result.info.iFage or code
  end, { side = "client" })
  -- open, write, read, write, read: the last one is to find the end
  t.assertEquals(failed, { "denied", "closed", "closed", "closed", 3, 3 })
  t.assertEquals(count, 5)
end

function tests.test_one_code_in_one_direction()
  local codes = {}
  local count = t.exhaust(function(name)
    t.server { name = name, mode = "message", on_message = function(_, message) return message end }
    local client <close> = assert(pipe.open(name, { timeout = LONG }))
    for _ = 1, 2 do
      assert(client:send("x", LONG))
      local reply, code = client:receive(LONG)
      codes[#codes + 1] = reply or code
      if not reply then
        assert(client:receive(LONG)) -- it is there still
      end
    end
  end, { side = "client", on = "in", code = "nomem" })
  t.assertEquals(count, 2)
  t.assertEquals(codes, { "nomem", "x", "x", "nomem", "x", "x" })
end

-- What the scenario does not handle is told with the operation.
function tests.test_an_error_names_the_operation()
  local ok, value = pcall(t.exhaust, function(name)
    local server <close> = assert(pipe.create(name))
    local client <close> = assert(pipe.open(name, { timeout = LONG }))
    assert(server:connect(LONG))
    if client:send("x", LONG) then
      assert(server:receive(LONG))
    end
  end, { on = { "in", "out" } })
  t.assertFalse(ok)
  local found = value.pipehost_failure
  t.assertStrContains(found.message, "with operation 2 failing (in): receive")
  t.assertStrContains(found.message, "closed")
  t.assertStrContains(found.place, "exhaust_test.lua:")
end

function tests.test_an_error_without_a_fault()
  local ok, value = pcall(t.exhaust, function()
    error "broken anyway"
  end)
  t.assertFalse(ok)
  t.assertStrContains(value.pipehost_failure.message, "with no operation failing: broken anyway")
end

function tests.test_the_number_of_rounds_is_bounded()
  local rounds = 0
  t.assertErrorMsgContains("not done after 5 operations", t.exhaust, function(name)
    rounds = rounds + 1
    for _ = 1, 10 do
      pipe.open(name, { wait = "no" })
    end
  end, { most = 5 })
  t.assertEquals(rounds, 5)
  t.assertErrorMsgContains("most", t.exhaust, print, { most = 0 })
  t.assertErrorMsgContains("most", t.exhaust, print, { mots = 1 })
  t.assertErrorMsgContains("takes a function", t.exhaust)
end

-- What a round makes is gone before the next one.
function tests.test_each_round_is_undone()
  local open = 0
  t.exhaust(function(name)
    t.assertEquals(open, 0)
    open = open + 1
    t.defer(function()
      open = open - 1
    end)
    pipe.open(name, { wait = "no" })
  end)
  t.assertEquals(open, 0)
end

return tests
