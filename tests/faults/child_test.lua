-- SPDX-License-Identifier: MIT
-- Faults for scripts: in a pipehost of their own, and in the process of the test.
local faulty_pair = require "faulty_pair"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local LONG, fails = faulty_pair.LONG, faulty_pair.fails
local FOLDER = "../../scripts/server_info/"
local ASK = "\1\0\0\0"

local tests = {}

for _, place in ipairs { "here", "child" } do
  tests["test_a_server_" .. place] = function()
    local name = t.name()
    t.server(FOLDER .. "server.lua", {
      child = place == "child", names = { ServerInfo = name },
      faults = { ServerInfo = { side = "server", { drop = true, on = "out", nth = 1 } } },
    })
    local client <close> = assert(pipe.open(name, { timeout = LONG }))
    assert(client:send(ASK, LONG))
    assert(client:send(ASK, LONG))
    t.equal_bytes(assert(client:receive(LONG)), "\3\0\0\0")
    fails("timeout", client:receive(30)) -- one of two was lost
  end

  tests["test_a_client_" .. place] = function()
    local name = t.name()
    t.server(FOLDER .. "server.lua", { names = { ServerInfo = name } })
    local client = t.client(FOLDER .. "client.lua", {
      child = place == "child", names = { ServerInfo = name },
      faults = { ServerInfo = { side = "client", { fail = "denied", on = "open" } } },
    })
    local status, message = client:wait(LONG)
    t.assertEquals(status, 1)
    t.assertStrContains(place == "child" and client.stderr.text or message, "a fault of the test (denied)")
  end
end

function tests.test_mistakes_are_told_before_the_child_starts()
  local function raises(part, faults)
    t.assertErrorMsgContains(part, t.server, FOLDER .. "server.lua", { child = true, faults = faults })
  end
  raises("t.server, fault 1", { ServerInfo = { { dorp = true } } })
  raises("option 'faults' is a table", "drop")
end

return tests
