-- Tests of server.lua: each function whose name begins with "test" is one.
local pipehost = require "pipehost"
local t = require "pipehost.test"

local pipe = pipehost.pipe
local tests, name = {}, nil

-- Before each test: the server, on a pipe that nobody else has.
function tests.setup()
  name = t.name()
  t.server("server.lua", { names = { ["@NAME@"] = name } })
end

function tests.test_a_client_is_greeted()
  t.assertEquals(pipe.call(name, "ann", { timeout = 3000 }), "hello, ann (message 1)")
end

function tests.test_each_client_has_its_own_count()
  local first <close> = assert(pipe.open(name, { timeout = 3000 }))
  local second <close> = assert(pipe.open(name, { timeout = 3000 }))
  t.assertEquals(first:transact "ann", "hello, ann (message 1)")
  t.assertEquals(first:transact "ann", "hello, ann (message 2)")
  t.assertEquals(second:transact "bob", "hello, bob (message 1)")
end

return tests
