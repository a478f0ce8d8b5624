-- SPDX-License-Identifier: MIT
-- Options that are unknown or of a wrong type raise, and say so.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local tests = {}

function tests.test_an_unknown_option_names_the_near_one()
  ends.raises("unknown option 'max_mesage' (did you mean 'max_message'?)", pipe.create, t.name(),
    { max_mesage = 10 })
  ends.raises("unknown option 'timeot' (did you mean 'timeout'?)", pipe.open, t.name(), { timeot = 10 })
  ends.raises("unknown option 'Mode' (did you mean 'mode'?)", pipe.create, t.name(), { Mode = "byte" })
  ends.raises("unknown option 'wiat' (did you mean 'wait'?)", pipe.open, t.name(), { wiat = "no" })
  ends.raises("did you mean 'on_message'", pipehost.server, { name = "x", on_mesage = print })
  ends.raises("did you mean 'steps'", pipehost.handshake, { pipe = "x", step = {} })
  ends.raises("did you mean 'timeout'", pipehost.steps.send, "x", { timout = 5 })
  ends.raises("did you mean 'times'", pipehost.handshake,
    { pipe = "x", steps = { pipehost.steps.close() }, retry = { time = 3 } })
end

function tests.test_an_unknown_option_with_none_near()
  local message = ends.raises("unknown option 'colour'", pipe.create, t.name(), { colour = "blue" })
  t.assertNil(message:find("did you mean", 1, true))
end

function tests.test_options_have_names()
  ends.raises("options have names", pipe.create, t.name(), { "message" })
  ends.raises("options have names", pipe.open, t.name(), { [true] = 1 })
end

function tests.test_options_are_a_table()
  ends.raises("table expected", pipe.create, t.name(), "message")
  ends.raises("table expected", pipe.open, t.name(), 3000)
  ends.raises("table", pipehost.server, "name")
  ends.raises("table", pipehost.handshake, "name")
end

local create_cases = {
  { mode = "msg" }, { mode = 1 }, { mode = true },
  { direction = "both" }, { direction = {} },
  { max_instances = 0 }, { max_instances = -1 }, { max_instances = 1.5 }, { max_instances = "2" },
  { backlog = 0 }, { backlog = 5000 }, { backlog = true },
  { max_message = 0 }, { max_message = -5 }, { max_message = "64K" }, { max_message = 2 ^ 40 },
  { max_message = 0 / 0 }, { first = 1 }, { first = "yes" },
  { timeout = "soon" }, { timeout = -1 }, { timeout = {} }, { timeout = 0 / 0 },
  { access = 5 }, { access = "everyone" }, { access = true },
}

function tests.test_values_of_create()
  for _, options in ipairs(create_cases) do
    local key = next(options)
    local message = ends.raises(("'%s'"):format(key), function()
      assert(pipe.create(t.name(), options))
    end)
    t.assertStrContains(message, "options_test.lua:")
  end
end

local open_cases = {
  { mode = "duplex" }, { mode = false }, { timeout = false }, { timeout = -0.5 },
  { wait = "yes" }, { wait = true }, { peer = "me" }, { peer = 0 }, { max_message = 0 },
}

function tests.test_values_of_open()
  for _, options in ipairs(open_cases) do
    ends.raises(("'%s'"):format(next(options)), pipe.open, t.name(), options)
  end
end

function tests.test_values_that_are_fine()
  local name = t.name()
  local server = assert(pipe.create(name, {
    mode = "message", direction = "duplex", max_instances = math.huge, backlog = 1, first = false,
    max_message = 100.0, timeout = 5000.5, access = "me",
  }))
  local client = assert(pipe.open(name, { mode = "message", wait = "exists", timeout = 1e12, peer = "user" }))
  assert(server:connect())
  client:close()
end

function tests.test_access_that_this_system_cannot_give_raises()
  local name = t.name()
  local other = t.system == "windows" and { 0 } or "D:P(A;;GA;;;WD)"
  local ok, server, code, info = pcall(pipe.create, name, { access = other })
  t.assertFalse(ok and server ~= nil, "it was accepted")
  t.assertTrue(#tostring(ok and info or server) > 20, code)
end

function tests.test_a_list_of_uids_that_claims_another_length()
  for _, length in ipairs { -1, 65537, (1 << 62) - 1, math.maxinteger } do
    local uids = setmetatable({ 1, 2, 3 }, {
      __len = function()
        return length
      end,
    })
    ends.raises("at most 65536 uids", pipe.create, t.name(), { access = uids })
  end
  ends.raises("has uids in it", pipe.create, t.name(), { access = { "root" } })
  ends.raises("has uids in it", pipe.create, t.name(), { access = { -1 } })
end

function tests.test_arguments_of_methods()
  local server, client = ends.pair()
  ends.raises("string expected", client.send, client)
  ends.raises("string expected", client.send, client, {})
  ends.raises("string expected", client.write_op, client, nil)
  ends.raises("number expected", server.read, server, {})
  ends.raises("0 to 2147483647", server.read, server, -1)
  ends.raises("1 to 2147483647", server.read_op, server, 0)
  ends.raises("number has no integer representation", server.read, server, 1.5)
  ends.raises("pipehost.pipe expected", client.send, "x")
  ends.raises("pipehost.pipe expected", client.close, {})
  ends.raises("number expected", server.receive, server, {})
end

function tests.test_a_pipe_has_no_fields_of_the_scripts()
  local server = ends.pair()
  ends.raises("no 'nothing'", function()
    return server.nothing
  end)
  ends.raises("no field 'extra'", function()
    server.extra = 1
  end)
  t.assertFalse(getmetatable(server))
end

return tests
