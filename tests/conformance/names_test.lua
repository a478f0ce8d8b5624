-- SPDX-License-Identifier: MIT
-- Pipe names: what is one, and whose it is.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

local function refused(name, part)
  for _, call in ipairs { pipe.create, pipe.open, pipe.available, function(n)
    return pipe.call(n, "x")
  end } do
    local message = ends.raises("name", call, name)
    if part then
      t.assertStrContains(message, part)
    end
  end
end

function tests.test_an_empty_name()
  refused("", "empty")
end

function tests.test_dots()
  for _, name in ipairs { ".", "..", ".hidden", "../up", "..\\up" } do
    refused(name)
  end
end

function tests.test_separators()
  for _, name in ipairs { "a/b", "a\\b", "a/", "\\a", "a/../b", "./a" } do
    refused(name)
  end
end

function tests.test_a_name_that_is_too_long()
  refused(("n"):rep(201), "200")
  refused(("ü"):rep(201), "200")
  refused(("n"):rep(5000), "200")
end

function tests.test_a_long_name_is_never_cut()
  local name = (t.name() .. ("n"):rep(200)):sub(1, 200)
  local ok, server = pcall(pipe.create, name)
  if not ok then -- the system's own limit of a socket's path
    t.assertEquals(t.system, "linux")
    t.assertStrContains(server, "107")
    return
  end
  t.assertEquals(server:info().name, name)
  ends.fails("absent", pipe.open(name:sub(1, 199)))
  local client <close> = assert(pipe.open(name)) -- luacheck: ignore 211
end

function tests.test_a_zero_byte_does_not_end_a_name()
  local name = t.name()
  local server <close> = assert(pipe.create(name)) -- luacheck: ignore 211
  refused(name .. "\0")
  refused(name .. "\0more")
  refused("\0")
end

function tests.test_a_name_is_a_string()
  for _, value in ipairs { {}, true, print } do
    ends.raises("string expected", pipe.create, value)
    ends.raises("string expected", pipe.open, value)
    ends.raises("string expected", pipe.available, value)
  end
  ends.raises("string expected", pipe.create)
end

function tests.test_characters_that_are_fine()
  for _, tail in ipairs { " with spaces ", "<>*?|\":;", "a.b..c", "%n%s", "[x](y){z}", "-", "'$(x)`" } do
    local name = t.name() .. tail
    local server = assert(pipe.create(name))
    t.assertEquals(server:info().name, name)
    local client = assert(pipe.open(name))
    assert(server:connect(5000))
    assert(client:send(tail))
    t.assertEquals(server:receive(5000), tail)
  end
end

function tests.test_another_case_is_the_same_pipe()
  local name = t.name() .. "-MixedCase"
  local server = assert(pipe.create(name))
  local client = assert(pipe.open(name:lower()))
  assert(server:connect(5000))
  assert(client:send "x")
  t.assertEquals(server:receive(5000), "x")
  t.assertTrue(pipe.available(name:upper(), 5000))
  ends.fails("exists", pipe.create(name:upper(), { first = true }))
  local second = assert(pipe.create(name:upper()))
  t.assertEquals(second:info().instances, 2)
end

function tests.test_a_full_name()
  local name = t.name()
  local server = assert(pipe.create("\\\\.\\pipe\\" .. name))
  local client = assert(pipe.open(name))
  assert(server:connect(5000))
  local other = assert(pipe.open("\\\\.\\PIPE\\" .. name))
  assert(client:send "x")
  t.assertEquals(server:receive(5000), "x")
  other:close()
end

function tests.test_umlauts()
  local name = t.name() .. "-Jürgen-日本-🙂"
  local server = assert(pipe.create(name))
  t.assertEquals(server:info().name, name)
  t.assertStrContains(tostring(server), name)
  local client = assert(pipe.open(name))
  assert(server:connect(5000))
  assert(client:send "grüß")
  t.assertEquals(server:receive(5000), "grüß")
  ends.fails("absent", pipe.open(t.name() .. "-Jürgen"))
end

function tests.test_first_in_the_same_process()
  local name = t.name()
  local server = assert(pipe.create(name, { first = true }))
  local info = ends.fails("exists", pipe.create(name, { first = true }))
  t.assertStrContains(info.message, name)
  ends.fails("exists", pipe.create(name, { first = true, timeout = 20 }))
  assert(pipe.create(name)):close()
  server:close()
  assert(pipe.create(name, { first = true }))
end

function tests.test_a_name_that_becomes_free_before_the_deadline()
  local name = t.name()
  local server = assert(pipe.create(name, { first = true }))
  local task = pipe.spawn(pipe.create, name, { first = true, timeout = 10000 })
  pipe.sleep(20)
  server:close()
  t.assertNotNil((ends.join(task)))
end

function tests.test_other_instances_must_fit()
  local name = t.name()
  local server = assert(pipe.create(name, { max_message = 1000 }))
  ends.fails("mode", pipe.create(name, { mode = "byte" }))
  ends.fails("mode", pipe.create(name, { direction = "inbound" }))
  t.assertEquals(server:info().instances, 1)
end

local child = [[
local pipe = require "pipehost.pipe"
local name, say = ...
local server, code = pipe.create(name, { first = true })
print("create " .. tostring(server and "done" or code))
local client = pipe.open(name, { timeout = 2000 })
client:send(say)
]]

function tests.test_a_name_that_another_process_serves()
  local name = t.name()
  local server = assert(pipe.create(name))
  local output, status = ends.run(child, name, "hello")
  t.assertStrContains(output, "create exists")
  t.assertEquals(status, 0)
  assert(server:connect(5000))
  t.assertEquals(server:receive(5000), "hello")
end

function tests.test_a_client_in_another_process()
  local name = t.name() .. "-ü"
  local server = assert(pipe.create(name))
  local output, status = ends.run([[
    local pipe = require "pipehost.pipe"
    local client = assert(pipe.open((...), { timeout = 5000 }))
    assert(client:send "")
    assert(client:send "grüß")
    print("peer " .. client:peer().pid)
  ]], name)
  t.assertEquals(status, 0, output)
  assert(server:connect(5000))
  t.assertEquals(server:receive(5000), "")
  t.assertEquals(server:receive(5000), "grüß")
  ends.fails("closed", server:receive(5000))
  t.assertStrMatches(output, "peer %d+\n")
end

return tests
