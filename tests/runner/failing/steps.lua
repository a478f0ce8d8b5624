-- A mock that is spoken to wrongly, and a client that is answered wrongly.
local pipehost = require "pipehost"
local t = require "pipehost.test"

local pipe, steps = pipehost.pipe, pipehost.steps
local tests = {}

local function mock()
  return t.server {
    steps = {
      steps.expect("hello", { name = "greeting" }),
      steps.send "who are you?",
      steps.expect("ann", { as = "name" }),
    },
  }
end

function tests.test_1_an_unexpected_message()
  local server = mock()
  pipe.call(server.name, "hallo", { timeout = 5000 })
end

function tests.test_2_a_message_too_few()
  local server = mock()
  local conn <close> = assert(pipe.open(server.name))
  conn:transact "hello"
end

function tests.test_3_a_message_too_many()
  local server = mock()
  local conn <close> = assert(pipe.open(server.name))
  conn:transact "hello"
  conn:send "ann"
  conn:send "and bob"
end

function tests.test_4_nobody_comes()
  mock()
end

function tests.test_5_all_is_well()
  local server = mock()
  local conn <close> = assert(pipe.open(server.name))
  t.assertEquals(conn:transact "hello", "who are you?")
  conn:send "ann"
  t.assertEquals(server:wait().name, "ann")
end

function tests.test_6_a_client_gets_another_answer()
  local server = t.server { on_message = function()
    return "no"
  end }
  t.client { pipe = server.name, timeout = 5000, steps = { steps.send "?", steps.expect "yes" } }
end

return tests
--[[ output:
not ok - steps.lua: test_1_an_unexpected_message
  steps.lua:11: handshake NAME: step 1 (greeting) at steps.lua:11: expected "hello", got "hallo" (protocol)
            expected                            got
         0  68 65 6c 6c 6f          |hello|     68 61 6c 6c 6f          |hallo|
               ^^                                  ^^  first difference, offset 1
    said on NAME so far (ms, > sent, < received, bytes):
         MS  open
         MS  <     5  68 61 6c 6c 6f  |hallo|
not ok - steps.lua: test_2_a_message_too_few
  steps.lua:13: handshake NAME: step 3 (expect) at steps.lua:13: expected "ann", but the other end has closed (closed)
    said on NAME so far (ms, > sent, < received, bytes):
         MS  open
         MS  <     5  68 65 6c 6c 6f  |hello|
         MS  >    12  77 68 6f 20 61 72 65 20 79 6f 75 3f  |who are you?|
         MS  closed
not ok - steps.lua: test_3_a_message_too_many
  steps.lua:13: mock NAME: after the last step came 61 6e 64 20 62 6f 62  |and bob|
not ok - steps.lua: test_4_nobody_comes
  steps.lua:38: mock NAME: no client has come
ok - steps.lua: test_5_all_is_well
not ok - steps.lua: test_6_a_client_gets_another_answer
  steps.lua:53: handshake NAME: step 2 (expect) at steps.lua:53: expected "yes", got "no" (protocol)
            expected                            got
         0  79 65 73                |yes|       6e 6f                   |no|
            ^^                                  ^^  first difference, offset 0
    said on NAME so far (ms, > sent, < received, bytes):
         MS  open
         MS  >     1  3f  |?|
         MS  <     2  6e 6f  |no|
seed 1
1 passed, 5 failed
]]
