-- SPDX-License-Identifier: MIT
-- Tests of calc_server.lua:
--
--   pipehost test scripts/examples
local pipehost = require "pipehost"
local protocol = require "calc_protocol"
local t = require "pipehost.test"

local tests, name = {}, nil

-- Before each test: the server, on a pipe that nobody else has.
function tests.setup()
  name = t.name()
  t.server("calc_server.lua", { names = { Calc = name } })
end

local function ask(bytes)
  return pipehost.pipe.call(name, bytes, { timeout = 10000 })
end

function tests.test_results()
  for operation, expected in pairs { add = 10.5, subtract = 1.5, multiply = 27, divide = 6 / 4.5 } do
    local reply = assert(ask(protocol.Request:pack { id = 7, operation = operation, a = 6, b = 4.5 }))
    t.assertEquals(protocol.Reply:unpack(reply), { id = 7, status = "ok", result = expected })
  end
end

function tests.test_division_by_zero()
  local reply = assert(ask(protocol.Request:pack { id = 8, operation = "divide", a = 6, b = 0 }))
  t.assertEquals(protocol.Reply:unpack(reply), { id = 8, status = "division_by_zero", result = 0 })
end

function tests.test_what_is_no_request_ends_the_connection()
  local good = protocol.Request:pack { id = 9, operation = "add", a = 1, b = 2 }
  for _, bytes in ipairs { "", good:sub(1, -2), good .. "x", (good:gsub("^(....).", "%1\9")) } do
    local reply, code = ask(bytes)
    t.assertNil(reply)
    t.assertEquals(code, "closed")
  end
end

return tests
