-- SPDX-License-Identifier: MIT
-- Mistakes in a handshake's script: each is raised with its line, the step's number
-- and the name that was nearly right.
local pipehost = require "pipehost"
local t = require "pipehost.test"
local talk = require "talk"

local s = pipehost.steps
local tests = {}

local Info = pipehost.struct("<", { name = "INFO", { "age", "i4" } })
local raises = talk.raises

function tests.test_steps_that_do_not_exist()
  raises("pipehost.steps has no 'sned' (did you mean 'send'?)", function()
    return (s.sned "x")
  end)
  raises("pipehost.steps has no 'receive_everything'", function()
    return (s.receive_everything "x")
  end)
end

function tests.test_send()
  raises("steps.send: a string, a function or a struct with its values is sent, this is a number", function()
    s.send(5)
  end)
  raises("steps.send: struct INFO: unknown field 'aeg' (did you mean 'age'?)", function()
    s.send(Info, { aeg = 5 })
  end)
  raises("steps.send: struct INFO: pack takes a table of its fields", function()
    s.send(Info)
  end)
  raises("steps.send: unknown option 'nmae' (did you mean 'name'?)", function()
    s.send("x", { nmae = "y" })
  end)
  raises("steps.send: options are a table, this is a number", function()
    s.send("x", 500)
  end)
  raises("steps.send: option 'timeout' is a number of milliseconds", function()
    s.send("x", { timeout = "1s" })
  end)
  raises("steps.send: option 'name' is text, this is a boolean", function()
    s.send(Info, { age = 1 }, { name = true })
  end)
end

function tests.test_expect()
  local takes = "expects a struct, a string, a function, steps.pattern or steps.any_of; this is "
  raises("steps.expect: " .. takes .. "nil", function()
    s.expect(nil)
  end)
  raises("steps.expect: " .. takes .. "a table", function()
    s.expect { "x" }
  end)
  raises("steps.any_of, alternative 2: " .. takes .. "a number", function()
    s.any_of { "x", 5 }
  end)
  raises("steps.any_of: takes a list of what can come", function()
    s.any_of {}
  end)
  raises("steps.any_of: takes a list of what can come", function()
    s.any_of(Info)
  end)
  raises("steps.line: " .. takes .. "a number", function()
    return (s.line(5))
  end)
  raises("steps.bytes: " .. takes .. "a boolean", function()
    return (s.bytes(5, false))
  end)
  raises("steps.bytes(count, what): the count is a whole number above 0", function()
    return (s.bytes(0))
  end)
  raises("steps.expect: unknown option 'at' (did you mean 'as'?)", function()
    s.expect("x", { at = "y" })
  end)
  raises("steps.expect: option 'as' is text, this is a number", function()
    s.expect("x", { as = 1 })
  end)
  raises("steps.expect: struct INFO has no field 'agee' (did you mean 'age'?)", function()
    s.expect(Info, { fields = { agee = 1 } })
  end)
  raises("steps.expect: option 'fields' is a table, for a struct", function()
    s.expect("x", { fields = {} })
  end)
end

function tests.test_patterns()
  raises([[steps.pattern "(": unfinished capture]], function()
    return (s.pattern "(")
  end)
  raises("steps.pattern(pattern, names): a pattern, and a list of its captures' names if they have any", function()
    return (s.pattern(5))
  end)
end

function tests.test_other_steps()
  raises("steps.call: a function is needed, this is a string", function()
    s.call "x"
  end)
  raises("steps.capture(name, fn): the name is text, this is a function", function()
    s.capture(print)
  end)
  raises("steps.capture: a function is needed, this is a nil", function()
    s.capture "x"
  end)
  raises("steps.wait(ms): a number of milliseconds", function()
    s.wait "x"
  end)
  raises("steps.branch: its steps are a list, this is a nil", function()
    s.branch(print)
  end)
  raises("steps.loop: a function is needed, this is a table", function()
    s.loop({}, {})
  end)
end

-- Lists of steps -----------------------------------------------------------------------

local function list_raises(message, steps)
  local ok, got = pcall(function()
    pipehost.handshake { pipe = "x", steps = steps }
  end)
  t.assertFalse(ok)
  t.assertEquals((got:gsub("^.*misuse_test%.lua:%d+: ", "")), "pipehost.handshake: option 'steps'" .. message)
end

function tests.test_lists()
  list_raises(" is a list of steps, this is a nil", nil)
  list_raises(" is one step; put it into a list: { … }", s.close())
  list_raises(" is an empty list; steps are made as pipehost.steps.send(…)", {})
  list_raises(": step 2 is the string \"x\"; steps are made as pipehost.steps.send(…)", { s.close(), "x" })
  list_raises(": step 1 is a function; steps are made as pipehost.steps.send(…)", { s.send })
  list_raises(": step 2 is nil; is its name misspelt?", { s.close(), nil, s.close() })
  list_raises(": step 1 is nil; is its name misspelt?", { nil, s.close() })
  list_raises(": step 1.2 is the number 5; steps are made as pipehost.steps.send(…)", { { s.close(), 5 } })
  list_raises(": step 1.1 is a boolean; steps are made as pipehost.steps.send(…)",
    { s.branch(print, { s.close() }, { true }) })
  list_raises(": step 1 is pattern \"x\", which by itself is no step; put it into steps.expect(…)", { s.pattern "x" })
  list_raises(": step 1 is struct INFO, which by itself is no step; put it into steps.expect(…)", { Info })
  list_raises(": step 1 (a list of steps) has the unknown key 'dedline' (did you mean 'deadline'?); "
    .. "steps are made as pipehost.steps.send(…)", { { s.close(), dedline = 5 } })
  list_raises(": step 1 (a list of steps): its deadline is a number of milliseconds above 0",
    { { s.close(), deadline = "x" } })
  list_raises(": step list (a list of steps): its name is text", { s.close(), name = 5 })
end

function tests.test_lists_that_contain_themselves()
  local list = { s.close() }
  list[2] = { list }
  list_raises(": step 2.1 contains itself; to repeat steps use steps.loop", list)
  local loop = {}
  loop[1] = s.branch(print, loop)
  list_raises(": step 1 contains itself; to repeat steps use steps.loop", loop)
end

function tests.test_options()
  local steps = { s.close() }
  raises("pipehost.handshake: options are a table, this is a string", function()
    pipehost.handshake "x"
  end)
  raises("pipehost.handshake: unknown option 'retries' (did you mean 'retry'?)", function()
    pipehost.handshake { pipe = "x", steps = steps, retries = {} }
  end)
  raises("pipehost.handshake: option 'pipe' is the pipe's name", function()
    pipehost.handshake { steps = steps }
  end)
  raises("pipehost.handshake: option 'deadline' is a number of milliseconds", function()
    pipehost.handshake { pipe = "x", steps = steps, deadline = -1 }
  end)
  raises("pipehost.handshake: option 'trace' is a function(direction, bytes)", function()
    pipehost.handshake { pipe = "x", steps = steps, trace = true }
  end)
  raises("pipehost.handshake retry: unknown option 'backof' (did you mean 'backoff'?)", function()
    pipehost.handshake { pipe = "x", steps = steps, retry = { backof = 1 } }
  end)
  raises("pipehost.handshake: retry's 'times' is a number from 0 on", function()
    pipehost.handshake { pipe = "x", steps = steps, retry = { times = -1 } }
  end)
  raises("pipehost.handshake: retry's 'factor' is a number from 1 on", function()
    pipehost.handshake { pipe = "x", steps = steps, retry = { factor = 0.5 } }
  end)
  raises("pipehost.handshake: retry's 'on' has codes in it; \"absnt\" is none (did you mean 'absent'?)", function()
    pipehost.handshake { pipe = "x", steps = steps, retry = { on = { "busy", "absnt" } } }
  end)
  raises("pipehost.play: unknown option 'timout' (did you mean 'timeout'?)", function()
    pipehost.play(nil, steps, { timout = 1 })
  end)
  raises("pipehost.play: its second argument: step 1 is the string \"x\"; steps are made as pipehost.steps.send(…)",
    function()
      pipehost.play(nil, { "x" })
    end)
  raises("pipehost.client(name, options, fn): fn is a function", function()
    return (pipehost.client("x", {}))
  end)
end

-- Mistakes that show only when it is played, told with the step's own line ----------

local function playing_raises(message, steps)
  local ok, got = pcall(pipehost.handshake, { pipe = talk.answering {}, steps = steps, timeout = 20000 })
  t.assertFalse(ok)
  t.assertStrMatches(got, ".*misuse_test%.lua:%d+: .*")
  t.assertStrContains(got, message)
end

function tests.test_while_playing()
  playing_raises(": step 2 (send): the pipe has been closed by step 1", { s.close(), s.send "x" })
  playing_raises(": step 1.2 (answer): the pipe has been closed by step 1.1",
    { { s.close(), s.expect("x", { name = "answer" }) } })
  playing_raises(": step 1 (send): a string is sent, but its function gave a number", { s.send(function()
    return 5
  end) })
  playing_raises(": step 1 (send): a string is sent, but its function gave a nil", { s.send(function() end) })
  playing_raises("struct INFO: unknown field 'x'", { s.send(Info, function()
    return { x = 1 }
  end) })
end

return tests
