-- SPDX-License-Identifier: MIT
-- What a test can have that ends with it: servers, clients, programs, folders.
local lfs = require "lfs"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local pipe, steps = pipehost.pipe, pipehost.steps
local MS = 20000 -- nothing here takes that long

local tests = {}

local SERVER = [[
local pipehost = require "pipehost"
pipehost.server {
  name = "Fixed",
  on_message = function(conn, message)
    return (pipehost.config.greeting or "hello") .. ", " .. message
  end,
}
]]

local CLIENT = [[
local pipehost = require "pipehost"
print("reply: " .. assert(pipehost.pipe.call("fixed", table.concat({ ... }, " "), { timeout = 10000 })))
return 7
]]

local function raises(part, fn, ...)
  local ok, message = pcall(fn, ...)
  t.assertFalse(ok, "nothing was raised")
  message = type(message) == "table" and message.pipehost_failure.message or message
  t.assertStrContains(tostring(message), part)
end

local function call(name, message)
  return pipe.call(name, message, { timeout = MS })
end

-- Files -----------------------------------------------------------------------------

local kept -- by a test for the next one

function tests.test_files_1()
  local folder = t.files { ["a.txt"] = "one\0\r\n", ["deep/er/b.txt"] = "two" }
  local file <close> = assert(io.open(folder .. "/a.txt", "rb"))
  t.equal_bytes(file:read "a", "one\0\r\n")
  t.assertEquals(lfs.attributes(folder .. "/deep/er/b.txt", "size"), 3)
  local empty = t.tmpdir()
  t.assertNotEquals(empty, folder)
  kept = { folder, empty }
end

function tests.test_files_2_are_gone()
  for _, folder in ipairs(kept) do
    t.assertNil(lfs.attributes(folder))
  end
end

function tests.test_file_names()
  for _, name in ipairs { "/etc/x", "../x", "a/../../x", "a\\b", "c:x" } do
    raises("below the folder", t.files, { [name] = "" })
  end
  raises("names and texts", t.files, { "text" })
end

-- Undoing ---------------------------------------------------------------------------

local undone = {}

function tests.test_undo_1()
  for i = 1, 3 do
    t.defer(function()
      pipe.sleep(1)
      undone[#undone + 1] = i
    end)
  end
end

function tests.test_undo_2_the_last_first()
  t.assertEquals(undone, { 3, 2, 1 })
  raises("takes a function", t.defer)
end

-- Servers ---------------------------------------------------------------------------

function tests.test_a_script_under_another_name()
  local folder, name = t.files { ["server.lua"] = SERVER }, t.name()
  local server = t.server(folder .. "/server.lua", { names = { FIXED = name } })
  t.assertEquals(call(name, "ann"), "hello, ann")
  t.assertEquals(select(2, pipe.available("Fixed", 0)), "absent")
  server:stop()
  t.assertEquals(select(2, pipe.available(name, 0)), "absent")
end

function tests.test_two_of_one_script()
  local path = t.files { ["server.lua"] = SERVER } .. "/server.lua"
  for _, greeting in ipairs { "good morning", "good night" } do
    local name = t.name()
    t.server(path, { names = { Fixed = name }, set = { greeting = greeting } })
    t.assertEquals(call(name, "ann"), greeting .. ", ann")
  end
end

function tests.test_a_script_in_a_child()
  local path, name = t.files { ["server.lua"] = SERVER } .. "/server.lua", t.name()
  local server = t.server(path, { names = { Fixed = name }, set = { greeting = "hi" }, child = true })
  local conn <close> = assert(pipe.open(name, { timeout = MS }))
  t.assertEquals(conn:transact("ann", MS), "hi, ann")
  t.assertEquals(conn:peer().pid, server.program.pid)
  conn:close()
  t.assertEquals(server:stop(), 0)
end

local function change(path)
  local file <close> = assert(io.open(path, "wb"))
  file:write((SERVER:gsub("hello", "welcome")))
end

local function break_it(path)
  local file <close> = assert(io.open(path, "wb"))
  file:write "local = 1"
end

local function reloads(options)
  local path = t.files { ["server.lua"] = SERVER } .. "/server.lua"
  options.names = { Fixed = t.name() }
  local server = t.server(path, options)
  local conn <close> = assert(pipe.open(options.names.Fixed, { timeout = MS }))
  t.assertEquals(conn:transact("ann", MS), "hello, ann")
  change(path)
  t.assertStrContains(t.reload(server), "generation 2")
  t.assertEquals(conn:transact("ann", MS), "welcome, ann")
  break_it(path)
  local done, message = t.reload(server)
  t.assertNil(done)
  t.assertStrContains(message, "server.lua:1:")
  t.assertEquals(conn:transact("ann", MS), "welcome, ann")
end

function tests.test_reload()
  reloads {}
end

function tests.test_reload_in_a_child()
  reloads { child = true }
end

function tests.test_a_script_that_is_none()
  local folder = t.files { ["bad.lua"] = "x = = 1", ["empty.lua"] = "" }
  for _, child in ipairs { false, true } do
    raises("bad.lua:1:", t.server, folder .. "/bad.lua", { child = child })
    raises("declares no", t.server, folder .. "/empty.lua", { child = child })
    raises("no such", t.server, folder .. "/nothing.lua", { child = child })
  end
  raises("unknown option 'nmaes'", t.server, folder .. "/bad.lua", { nmaes = {} })
  raises("path of a script", t.server, 1)
  raises("takes a server", t.reload, {})
end

function tests.test_a_table()
  local server = t.server { on_message = string.upper and function(_, message)
    return message:upper()
  end }
  t.assertEquals(call(server.name, "ann"), "ANN")
end

-- Clients ---------------------------------------------------------------------------

local function fixed_server()
  local name = t.name()
  t.server { name = name, on_message = function(_, message)
    return "got " .. message
  end }
  return { Fixed = name }
end

function tests.test_a_client_script()
  local path = t.files { ["client.lua"] = CLIENT } .. "/client.lua"
  local client = t.client(path, { names = fixed_server(), arguments = { "a", "b" } })
  t.assertEquals(client:wait(MS), 7)
end

function tests.test_a_client_script_in_a_child()
  local path = t.files { ["client.lua"] = CLIENT } .. "/client.lua"
  local client = t.client(path, { names = fixed_server(), arguments = { "a", "ü" }, child = true })
  client:expect "reply: got a ü\n"
  t.assertEquals(client:wait(MS), 7)
end

function tests.test_a_client_script_that_fails()
  local folder = t.files { ["fails.lua"] = "error 'no'", ["times.lua"] = "return nil, 'timeout', 'too late'" }
  local status, message = t.client(folder .. "/fails.lua"):wait(MS)
  t.assertEquals(status, 65)
  t.assertStrContains(message, "fails.lua:1: no")
  t.assertEquals({ t.client(folder .. "/times.lua"):wait(MS) }, { 75, "too late" })
end

function tests.test_a_client_that_waits_for_ever_ends_with_the_test()
  local folder = t.files { ["waits.lua"] = 'require("pipehost").pipe.event():wait()' }
  local client = t.client(folder .. "/waits.lua")
  t.assertEquals({ client:wait(10) }, { nil, "pending" })
  t.client(folder .. "/waits.lua", { child = true })
end

-- Steps from either end ---------------------------------------------------------------

function tests.test_steps_of_a_byte_pipe()
  local mock = t.server {
    mode = "byte",
    steps = { steps.expect(steps.line "hello"), steps.send "who?\n", steps.expect(steps.bytes(3), { as = "name" }) },
  }
  t.client {
    pipe = mock.name, timeout = MS,
    steps = { steps.send "hello\n", steps.expect(steps.line()), steps.send "ann", steps.close() },
  }
  t.assertEquals(mock:wait().name, "ann")
end

function tests.test_a_mock_has_several_clients()
  local mock = t.server { steps = { steps.expect "a", steps.send "b" } }
  for _ = 1, 3 do
    t.assertEquals(call(mock.name, "a"), "b")
  end
  t.eventually(function()
    return mock.done == 3
  end, MS)
end

function tests.test_waiting_for_a_mock_raises()
  local mock = t.server { steps = { steps.expect "a" } }
  raises("no client has gone through its steps", mock.wait, mock, 10)
  local conn = assert(pipe.open(mock.name, { timeout = MS }))
  conn:send "a"
  mock:wait()
  conn:close()
end

-- Programs ----------------------------------------------------------------------------

local function run(script, options)
  options = options or {}
  local folder = t.files { ["script.lua"] = script }
  return assert(t.spawn {
    t.program, "run", folder .. "/script.lua", env = options.env, cwd = options.cwd, stdin = options.stdin,
    stderr = options.stderr,
  })
end

function tests.test_output_in_order()
  local p = run [[
    print "one=1 two=2"
    io.stderr:write "an error\n"
    print "one=11"
  ]]
  t.assertEquals(p:expect "one=(%d+)", "1")
  t.assertEquals({ p:expect "(o)ne=(%d+)" }, { "o", "11" })
  t.assertEquals(p.stderr:expect "error\n", "error\n")
  t.assertEquals(p:wait(MS), 0)
  t.assertEquals(p.stdout.text, "one=1 two=2\none=11\n")
  t.assertTrue(p.stdout.ended)
end

function tests.test_output_that_does_not_come()
  local p = run [[
    print "something"
    require("pipehost").pipe.event():wait()
  ]]
  p:expect "something"
  raises("did not print 'else' within 20 ms; it still runs. It printed:\n  | something", p.expect, p, "else", 20)
  t.assertEquals(select(2, p:wait(0)), "pending")
  local ended = run "return 3"
  t.assertEquals(ended:wait(MS), 3)
  raises("did not print 'x' to its end; it has ended with status 3. It printed nothing.", ended.expect, ended, "x")
end

function tests.test_what_it_said_on_stderr_is_shown_too()
  local p = run 'io.stderr:write "cannot find it\\n" return 2'
  raises("did not print 'ready' to its end; it has ended with status 2. It printed nothing.\n"
    .. "On stderr it printed:\n  | cannot find it", p.expect, p, "ready")
end

function tests.test_one_stream_for_both()
  local p = run([[
    print "out"
    io.stdout:flush()
    io.stderr:write "err\n"
  ]], { stderr = "stdout" })
  t.assertEquals(p:wait(MS), 0)
  t.assertEquals(p.stdout.text, "out\nerr\n")
  t.assertNil(p.stderr)
end

function tests.test_input()
  local p = run [[
    for line in io.lines() do print("<" .. line .. ">") end
    return 5
  ]]
  t.assertTrue(p.stdin:write "a\nb\n")
  p:expect "<b>"
  p.stdin:close()
  t.assertEquals(p:wait(MS), 5)
end

function tests.test_environment_and_folder()
  local folder = t.files { ["here.txt"] = "" }
  local p = run([[
    print(os.getenv "PH_ONE", os.getenv "PH_TWO", os.getenv "PATH" ~= nil, io.open "here.txt" ~= nil)
  ]], { env = { PH_ONE = "1 = 1", PH_TWO = false }, cwd = folder })
  p:expect "1 = 1\tnil\ttrue\ttrue\n"
end

function tests.test_a_program_that_is_not_there()
  local p, code, info = t.spawn { "there-is-no-such-program" }
  t.assertNil(p)
  t.assertEquals(code, "absent")
  t.assertStrContains(tostring(info), "spawn there-is-no-such-program: there is no such program")
end

function tests.test_misuse_of_spawn()
  raises("takes a table", t.spawn, "program")
  raises("takes a table", t.spawn, {})
  raises("unknown option 'evn'", t.spawn, { "x", evn = {} })
  raises("table of names and texts", t.spawn, { "x", env = { 1 } })
  raises("argument 2 is a number", t.spawn, { "x", 1 })
  raises("\"pipe\", \"null\" or \"inherit\"", t.spawn, { "x", stdin = "yes" })
  raises("only stderr", t.spawn, { "x", stdin = "stdout" })
  raises("zero byte", t.spawn, { "x", "a\0b" })
end

function tests.test_killed()
  local p = run 'require("pipehost").pipe.event():wait()'
  p:kill()
  local status, signal = p:wait(MS)
  t.assertEquals(status, 137)
  t.assertEquals(signal, t.system == "linux" and 9 or nil)
end

-- The tree: a program that has started another one, which answers on a pipe.
local grandchild

function tests.test_tree_1()
  local name = t.name()
  local folder = t.files {
    ["server.lua"] = ('require("pipehost").server { name = "%s", on_message = print }'):format(name),
  }
  local script = ([[
    os.execute(%q)
  ]]):format(t.system == "windows" and ('""%s" serve "%s/server.lua""'):format(t.program, folder)
    or ('"%s" serve "%s/server.lua" & sleep 1000'):format(t.program, folder))
  run(script)
  t.eventually(function()
    return (pipe.available(name, 0))
  end, MS)
  grandchild = name
end

function tests.test_tree_2_has_ended()
  t.assertEquals(select(2, pipe.available(grandchild, 0)), "absent")
end

-- Locks and deadlines -------------------------------------------------------------------

function tests.test_exclusive()
  t.exclusive "fixtures"
  t.exclusive "another one"
  t.exclusive "Fixtures" -- it has that already
  raises("takes a name", t.exclusive)
end

function tests.test_exclusive_is_given_back()
  t.exclusive "FIXTURES"
end

function tests.test_eventually()
  local n = 0
  t.assertEquals(t.eventually(function()
    n = n + 1
    return n > 3 and n
  end), 4)
  raises("not true within 10 ms", t.eventually, function() end, 10)
end

function tests.test_names_are_fresh()
  local seen = {}
  for _ = 1, 1000 do
    local name = t.name()
    t.assertNil(seen[name])
    seen[name] = true
  end
end

function tests.test_where_it_is()
  t.assertStrMatches(t.folder, ".*tests[/\\]runner")
  t.assertEquals(lfs.attributes(t.program, "mode"), "file")
end

return tests
