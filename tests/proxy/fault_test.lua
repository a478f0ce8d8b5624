-- SPDX-License-Identifier: MIT
-- The text of a fault on the command line.
local fault = require "pipehost.fault"
local t = require "pipehost.test"

local tests = {}

function tests.test_what_it_means()
  local meant = {
    ["drop"] = { drop = true },
    ["in:drop,nth=3"] = { drop = true, on = "in", nth = 3 },
    [" out: drop , nth = 3 "] = { drop = true, on = "out", nth = 3 },
    ["delay=20,jitter=5"] = { delay = 20, jitter = 5 },
    ["jitter=0.5,delay=20.0"] = { delay = 20, jitter = 0.5 },
    ["out:cut=10"] = { cut = 10, on = "out" },
    ["cut=0x10"] = { cut = 16 },
    ["split"] = { split = true },
    ["join"] = { join = true },
    ["join=100,from=2,to=8,every=3"] = { join = 100, from = 2, to = 8, every = 3 },
    ["duplicate,chance=0.25"] = { duplicate = true, chance = 0.25 },
    ["corrupt,chance=12.5%"] = { corrupt = true, chance = 0.125 },
    ["stall,from=2"] = { stall = true, from = 2 },
    ["refuse"] = { refuse = true, on = "connect" },
    ["refuse=2"] = { refuse = 2, on = "connect" },
    ["refuse,every=2"] = { refuse = true, on = "connect", every = 2 },
  }
  for text, expected in pairs(meant) do
    local got, message = fault.parse(text)
    t.assertEquals(got, expected, ("%s: %s"):format(text, message))
  end
end

-- Text -> a part of what is said of it.
local wrong = {
  [""] = "a word is missing",
  ["drop,,nth=2"] = "a word is missing",
  ["in:"] = "a word is missing",
  ["dealy=20"] = "there is no 'dealy' (did you mean 'delay'?)",
  ["drop,evry=2"] = "there is no 'evry' (did you mean 'every'?)",
  ["something"] = "there is no 'something'",
  ["up:drop"] = "'up:' is no direction; in: is what clients send, out: is what they get",
  ["nth=3"] = "it names no fault: corrupt, cut, delay, drop, duplicate, join, refuse, split, stall",
  ["drop,delay=3"] = "'delay' and 'drop' are two faults; each is given by itself",
  ["drop,drop"] = "'drop' is there twice",
  ["drop,nth"] = "after 'nth' comes =VALUE",
  ["delay="] = "after 'delay' comes =VALUE",
  ["drop=3"] = "'drop' takes no value",
  ["in:refuse"] = "'refuse' is of clients that come",
  ["busy"] = "a client that has come cannot be told 'busy'; refuse drops it",
  ["fail=closed"] = "'fail' is of operations in a test (t.faults)",
  ["late=20"] = "'late' is of operations in a test (t.faults)",
  -- These the plan refuses.
  ["delay"] = "'delay' is a number of milliseconds",
  ["delay=x"] = "'delay' is a number of milliseconds",
  ["delay=-1"] = "'delay' is a number of milliseconds",
  ["cut=1.5"] = "'cut' is a number of bytes",
  ["refuse=0"] = "'refuse' is true, or how many tries",
  ["drop,nth=0"] = "'nth' is a whole number from 1",
  ["drop,every=1.5"] = "'every' is a whole number from 1",
  ["drop,nth=2,to=3"] = "'nth' goes without from, to and every",
  ["drop,chance=200%"] = "'chance' is from 0 to 1",
  ["drop,jitter=3"] = "'jitter' is a number of milliseconds, and of delay only",
}

function tests.test_what_is_wrong_is_named()
  for text, expected in pairs(wrong) do
    local faults, message = fault.start(t.name(), { "split", text })
    t.assertNil(faults, text)
    t.assertStrContains(message, ("--fault %s: %s"):format(text, expected))
  end
end

function tests.test_faults_of_a_server()
  local pipehost = require "pipehost"
  local name = t.name()
  local faults <close> = assert(fault.start(name, { "in:drop,nth=1", "out:duplicate,nth=1", "refuse=1" }))
  t.assertEquals(fault.summary(faults), "no fault")
  t.server { name = name, on_message = function(_, message) return message end }
  local refused = assert(pipehost.pipe.open(name, { timeout = 5000 }))
  t.assertEquals(select(2, refused:receive(5000)), "closed")
  refused:close()
  local conn <close> = assert(pipehost.pipe.open(name, { timeout = 5000 }))
  conn:send "one"
  conn:send "two"
  t.assertEquals({ conn:receive(5000), (conn:receive(5000)) }, { "two", "two" })
  t.assertEquals(fault.summary(faults), "refuse 1, in:drop 1, out:duplicate 1")
end

return tests
