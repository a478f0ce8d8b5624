-- SPDX-License-Identifier: MIT
-- Plans: what is counted, what is by chance, when they begin and end, and what
-- they may not say.
local faulty_pair = require "faulty_pair"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local LONG, fails, take, echo = faulty_pair.LONG, faulty_pair.fails, faulty_pair.take, faulty_pair.echo
local tests = {}

local function ask(name, text)
  local client <close> = assert(pipe.open(name, { timeout = LONG }))
  assert(client:send(text, LONG))
  return client:receive(LONG)
end

-- When ----------------------------------------------------------------------------

-- Which of 12 messages come.
local function passed(plan)
  plan[1].drop = true
  local pair = faulty_pair.new("message", "out", plan)
  local got = {}
  for i = 1, 12 do
    assert(pair.from:send(tostring(i), LONG))
  end
  pair.from:close()
  for text in function() return (take(pair)) end do
    got[#got + 1] = text
  end
  return table.concat(got, " "), pair.faults:events()
end

function tests.test_which_units()
  t.assertEquals(passed { { nth = 3 } }, "1 2 4 5 6 7 8 9 10 11 12")
  t.assertEquals(passed { { from = 3 } }, "1 2")
  t.assertEquals(passed { { to = 10 } }, "11 12")
  t.assertEquals(passed { { every = 2 } }, "2 4 6 8 10 12")
  t.assertEquals(passed { { from = 2, every = 5, to = 11 } }, "1 3 4 5 6 8 9 10 11 12")
  t.assertEquals(passed { { chance = 0 } }, "1 2 3 4 5 6 7 8 9 10 11 12")
  t.assertEquals(passed { { chance = 1 } }, "")
end

function tests.test_the_same_seed_gives_the_same_faults()
  local function events(seed)
    local name = t.name()
    local faults = t.faults(name, {
      seed = seed, side = "client", { drop = true, on = "out", chance = 0.3 },
      { corrupt = true, on = "out", chance = 0.5 }, { delay = 3, jitter = 2, on = "out", chance = 0.5 },
    })
    local server = t.server { name = name, mode = "message", on_message = function() end }
    local client <close> = assert(pipe.open(name, { timeout = LONG }))
    for i = 1, 50 do
      assert(client:send(("message %d"):format(i), LONG))
    end
    client:close()
    server:stop(1000)
    return faults:events()
  end
  local first = events(7)
  t.assertTrue(#first > 20 and #first < 130, #first)
  t.assertEquals(events(7), first)
  t.assertNotEquals(events(8), first)
end

-- The lanes do not change each other's chances, nor do connections that come
-- between: message 5 has its luck, whatever else was.
function tests.test_luck_is_of_the_message()
  local one, of_one = passed { seed = 3, { chance = 0.4 } }
  local two, of_two = passed { seed = 3, { chance = 0.4, on = { "in", "out" } } }
  t.assertEquals(two, one)
  t.assertEquals(of_two, of_one)
end

-- Counts --------------------------------------------------------------------------

function tests.test_counts_are_of_the_name_and_the_direction()
  local name, other = t.name(), t.name()
  local faults = t.faults(name, { side = "client", { drop = true, on = "out", nth = 100 } })
  local all = t.faults(other, { { drop = true, nth = 100 }, { refuse = true, nth = 100 } })
  echo(name)
  echo(other)
  t.assertEquals(ask(name, "abc"), "abc")
  t.assertEquals(ask(name, "de"), "de")
  t.assertEquals({ faults:count("units", "out"), faults:count("bytes", "out") }, { 2, 5 })
  t.assertEquals({ faults:count("units", "in"), faults:count("bytes", "in") }, { 2, 5 })
  t.assertEquals(all:count "units", 0)
  t.assertEquals(ask(other, "x"), "x")
  -- both ends are here: each message goes out of one and comes in at the other
  t.assertEquals({ all:count("bytes", "out"), all:count("bytes", "in") }, { 2, 2 })
  t.assertEquals({ all:count("units", "open"), all:count("units", "connect") }, { 1, 1 })
  t.assertEquals(faults:count "drop" + all:count "drop", 0)
end

function tests.test_a_fault_is_not_seen_by_another_pipe()
  local name, other = t.name(), t.name()
  t.faults(name, { { fail = "closed" }, { fail = "denied", on = "open" } })
  echo(other)
  t.assertEquals(ask(other, "x"), "x")
  echo(name)
  fails("denied", pipe.open(name))
end

function tests.test_connections_are_counted_together()
  local name = t.name()
  t.faults(name, { side = "server", { drop = true, on = "in", nth = 2 } })
  echo(name)
  t.assertEquals(ask(name, "1"), "1")
  local client <close> = assert(pipe.open(name, { timeout = LONG }))
  assert(client:send("2", LONG))
  assert(client:send("3", LONG))
  t.assertEquals(client:receive(LONG), "3")
end

function tests.test_letters_and_the_name_in_full()
  local name = t.name()
  t.faults("\\\\.\\pipe\\" .. name:upper(), { { fail = "denied", on = "open" } })
  fails("denied", pipe.open(name, { wait = "no" }))
end

-- Beginning and end -----------------------------------------------------------------

function tests.test_a_connection_that_is_there_already_has_none()
  local name = t.name()
  echo(name)
  local client <close> = assert(pipe.open(name, { timeout = LONG }))
  assert(client:send("both ends are there", LONG))
  assert(client:receive(LONG))
  t.faults(name, { { fail = "closed" } })
  assert(client:send("x", LONG))
  t.assertEquals(client:receive(LONG), "x")
end

function tests.test_closed_plans_do_nothing()
  local name = t.name()
  echo(name)
  do
    local faults <close> = t.faults(name, { side = "client", { drop = true, on = "out" } })
    local client <close> = assert(pipe.open(name, { timeout = LONG }))
    assert(client:send("lost", LONG))
    faults:close()
    faults:close()
    assert(client:send("kept", LONG))
    t.assertEquals(client:receive(LONG), "kept")
    t.assertEquals(faults:count "drop", 1)
  end
  t.assertEquals(ask(name, "x"), "x")
end

-- These two are run in the order of their names; the server is the file's.
local lasting = t.name()
echo(lasting)

function tests.test_off_1_with_faults()
  t.faults(lasting, { { fail = "denied", on = "open" } })
  fails("denied", pipe.open(lasting))
end

function tests.test_off_2_after_the_test()
  t.assertEquals(ask(lasting, "x"), "x")
end

function tests.test_the_newest_plan_counts()
  local name = t.name()
  echo(name)
  t.faults(name, { { fail = "denied", on = "open" } })
  do
    local newer <close> = t.faults(name, { { fail = "nomem", on = "open" } }) -- luacheck: ignore 211
    fails("nomem", pipe.open(name))
  end
  fails("denied", pipe.open(name))
end

-- Mistakes ------------------------------------------------------------------------------

function tests.test_mistakes()
  local function raises(part, plan, name)
    local ok, message = pcall(t.faults, name or "a-name", plan)
    t.assertFalse(ok, part)
    t.assertStrContains(message, part)
  end
  raises("drop", { { dorp = true } })
  raises("seed", { sed = 1 })
  raises("fault 2", { { drop = true }, { drop = 1 } })
  raises("two faults", { { drop = true, stall = true } })
  raises("needs one of", { { nth = 1 } })
  raises("'nth' is a whole number", { { drop = true, nth = 0 } })
  raises("'nth' goes without", { { drop = true, nth = 1, to = 2 } })
  raises("'chance' is from 0 to 1", { { drop = true, chance = 2 } })
  raises("'delay' is a number of milliseconds", { { delay = -1 } })
  raises("'jitter'", { { drop = true, jitter = 1 } })
  raises("'cut' is a number of bytes", { { cut = 1.5 } })
  raises("'on' is", { { drop = true, on = "input" } })
  raises("'drop' cannot happen there", { { drop = true, on = "open" } })
  raises("'busy' cannot happen there", { { busy = true, on = "connect" } })
  raises("'fail' cannot be \"absent\" there", { { fail = "absent", on = "in" } })
  raises("'fail' is a code", { { fail = true } })
  raises("'refuse' is true, or how many", { { refuse = 0 } })
  raises("option 'side'", { side = "both" })
  raises("takes a pipe's name", {}, "")
  raises("is a table, such as", { "drop" })
  local faults = t.faults(t.name(), {})
  t.assertErrorMsgContains("dropp", faults.count, faults, "dropp")
  t.assertErrorMsgContains("count", function() return faults.cuont end)
end

return tests
