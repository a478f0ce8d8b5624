-- SPDX-License-Identifier: MIT
-- One-way pipes, as the server sees them.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

-- The client's half: the system names it on Windows; on Linux the server has
-- shut it, which looks as if it had closed.
local function shut(...)
  return ends.fails(t.system == "windows" and "denied" or "closed", ...)
end

function tests.test_inbound()
  for _, mode in ipairs { "message", "byte" } do
    local server, client = ends.pair { mode = mode, direction = "inbound" }
    assert(client:write "up")
    t.assertEquals(server:read(10, 5000), "up")
    ends.fails("denied", server:write "down")
    ends.fails("denied", ends.finish(server:write_op "down"))
    shut(client:read(10, 5000))
    assert(client:write "again")
    t.assertEquals(server:read(10, 5000), "again")
    t.assertEquals(server:info().direction, "inbound")
    client:close()
    ends.fails("closed", server:read(10, 5000))
  end
end

function tests.test_outbound()
  for _, mode in ipairs { "message", "byte" } do
    local server, client = ends.pair { mode = mode, direction = "outbound" }
    assert(server:write "down")
    t.assertEquals(client:read(10, 5000), "down")
    ends.fails("denied", server:read(10, 5000))
    ends.fails("denied", ends.finish(server:read_op(10)))
    shut(client:write "up")
    assert(server:write "again")
    t.assertEquals(client:read(10, 5000), "again")
    t.assertEquals(server:info().direction, "outbound")
    server:close()
    ends.fails("closed", client:read(10, 5000))
  end
end

function tests.test_the_reader_of_a_one_way_pipe_goes()
  local server, client = ends.pair { direction = "outbound" }
  client:close()
  t.eventually(function()
    local ok, code = server:write "x"
    t.assertTrue(ok or code == "closed", code)
    return not ok
  end)
end

function tests.test_a_one_way_pipe_keeps_last_words()
  local server, client = ends.pair { direction = "outbound" }
  assert(server:send "last words")
  server:close()
  t.assertEquals(client:receive(5000), "last words")
  ends.fails("closed", client:receive(5000))
  server, client = ends.pair { direction = "inbound" }
  assert(client:send "last words")
  client:close()
  t.assertEquals(server:receive(5000), "last words")
  ends.fails("closed", server:receive(5000))
end

function tests.test_a_direction_that_is_none()
  ends.raises("direction", pipe.create, t.name(), { direction = "up" })
end

return tests
