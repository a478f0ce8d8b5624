-- SPDX-License-Identifier: MIT
-- pipehost.shared: what scripts have in common, as copies.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local tests = {}

local MIB = 1 << 20

local function fresh()
  return pipehost.shared(t.name())
end

function tests.test_values_are_copies()
  local shared = fresh()
  local list = { 1, 2.5, "three", { true, false }, [10] = "ten" }
  list.itself = list
  t.assertTrue(shared:set("list", list))
  list[1] = "changed"
  local copy = shared:get "list"
  t.assertEquals({ copy[1], copy[2], copy[3], copy[4], copy[10] }, { 1, 2.5, "three", { true, false }, "ten" })
  t.assertTrue(rawequal(copy.itself, copy))
  copy[2] = "changed too"
  t.assertEquals(shared:get("list")[2], 2.5)
  for _, value in ipairs { "", ("x"):rep(100000), 0, -1, math.maxinteger, 1.5, math.huge, false, true } do
    t.assertTrue(shared:set("one", value))
    local got = shared:get "one"
    t.assertEquals(got, value)
    t.assertEquals(math.type(got), math.type(value))
  end
  t.assertNil(shared:get "none")
end

function tests.test_the_same_for_every_handle_of_the_name()
  local name = t.name()
  local one, two = pipehost.shared(name), pipehost.shared(name)
  one:set("key", "value")
  t.assertEquals(two:get "key", "value")
  t.assertNil(fresh():get "key")
  one, two = nil, nil -- luacheck: ignore 311
  collectgarbage()
  t.assertEquals(pipehost.shared(name):get "key", "value")
  t.assertEquals(tostring(pipehost.shared(name)), "shared " .. name)
end

function tests.test_keys()
  local shared = fresh()
  t.assertEquals(shared:keys(), {})
  local expected = {}
  for i = 1, 300 do
    shared:set(i, i)
    shared:set("k" .. i, i)
    expected[i], expected["k" .. i] = true, true
  end
  shared:set(5.0, "five") -- the integer 5
  t.assertEquals(shared:get(5), "five")
  shared:set("", "empty")
  shared:set("5", "a text")
  expected[""], expected["5"] = true, true
  local got = {}
  for _, key in ipairs(shared:keys()) do
    t.assertNil(got[key])
    got[key] = true
  end
  t.assertEquals(got, expected)
  for i = 1, 300 do
    t.assertTrue(shared:set(i, nil))
  end
  t.assertEquals(#shared:keys(), 302)
  t.assertNil(shared:get(7))
  t.assertEquals(shared:get "k7", 7)
  t.assertTrue(shared:set("never there", nil))
end

function tests.test_add()
  local shared = fresh()
  t.assertEquals(shared:add "count", 1)
  t.assertEquals(shared:add("count", 10), 11)
  t.assertEquals(shared:add("count", -1), 10)
  t.assertEquals(math.type(shared:get "count"), "integer")
  t.assertEquals(shared:add("count", 0.5), 10.5)
  shared:set("text", "x")
  ends.raises("the value there is a string", shared.add, shared, "text")
  ends.raises("number expected", shared.add, shared, "count", "1")
  t.assertEquals(shared:get "count", 10.5)
end

function tests.test_update()
  local shared = fresh()
  local function push(word)
    return function(list)
      list = list or {}
      list[#list + 1] = word
      return list
    end
  end
  t.assertEquals(shared:update("list", push "a"), { "a" })
  t.assertEquals(shared:update("list", push "b"), { "a", "b" })
  t.assertEquals(shared:get "list", { "a", "b" })
  t.assertNil(shared:update("list", function() end))
  t.assertEquals(shared:keys(), {})
end

function tests.test_an_update_that_raises_changes_nothing()
  local shared = fresh()
  shared:set("key", { "before" })
  ends.raises("on purpose", shared.update, shared, "key", function(list)
    list[1] = "after"
    error "on purpose"
  end)
  ends.raises("only plain data is shared: value.fn is a function", shared.update, shared, "key", function()
    return { fn = print }
  end)
  t.assertEquals(shared:get "key", { "before" })
end

function tests.test_an_update_cannot_wait()
  local shared = fresh()
  local server, client = ends.pair()
  for what, wait in pairs {
    sleep = function()
      pipe.sleep(1)
    end,
    ["pipe:receive"] = function()
      server:receive(10)
    end,
    ["event:wait"] = function()
      pipe.event():wait(10)
    end,
    ["pipe:send"] = coroutine.wrap(function()
      client:send "x"
    end),
  } do
    local message = ends.raises(what .. " cannot wait here", shared.update, shared, "key", wait)
    t.assertStrContains(message, "shared:update")
  end
  ends.raises("yield across a C-call boundary", shared.update, shared, "key", coroutine.yield)
  t.assertNil(shared:get "key")
end

function tests.test_an_update_within_an_update()
  local shared = fresh()
  local result = shared:update("a", function()
    shared:set("a", "inner")
    shared:set("b", 1)
    return shared:add "b" + 40
  end)
  t.assertEquals(result, 42)
  t.assertEquals(shared:get "a", 42)
  t.assertEquals(shared:get "b", 2)
end

function tests.test_what_cannot_be_shared()
  local shared = fresh()
  ends.raises("value is a function", shared.set, shared, "key", print)
  ends.raises("value.jobs[1].cb is a thread", shared.set, shared, "key", {
    jobs = { { cb = coroutine.create(print) } },
  })
  ends.raises("a key is a string or an integer", shared.set, shared, 1.5, 1)
  ends.raises("a key is a string or an integer", shared.get, shared, {})
  ends.raises("a key is a string or an integer", shared.get, shared, nil)
  ends.raises("value expected", shared.set, shared, "key")
  ends.raises("function expected", shared.update, shared, "key", 1)
  ends.raises("string expected", pipehost.shared)
  ends.raises("not empty", pipehost.shared, "")
  ends.raises("zero bytes", pipehost.shared, "a\0b")
  ends.raises("did you mean 'update'", function()
    return shared.updte
  end)
  t.assertEquals(shared:keys(), {})
end

-- In pieces that the script's own memory has room for.
local function fill(shared)
  local piece = ("x"):rep(4 * MIB)
  local count = 0
  repeat
    local ok, code, info = shared:set(count, piece)
    count = count + (ok and 1 or 0)
    if not ok then
      return count, code, info
    end
  until count == 100
end

function tests.test_the_memory_of_a_host_is_limited()
  local shared = fresh()
  shared:set("kept", "as it was")
  local count, code, info = fill(shared)
  t.assertEquals(count, 15) -- 64 MiB, and what keys and bookkeeping take
  t.assertEquals(code, "nomem")
  t.assertEquals(info.code, "nomem")
  t.assertStrContains(tostring(info), "the shared values of a host have at most 64 MiB")
  -- Whatever would grow is refused, and is what it was.
  local other = fresh()
  ends.fails("nomem", other:set("x", ("x"):rep(5 * MIB)))
  ends.fails("nomem", shared:update("kept", function()
    return ("x"):rep(5 * MIB)
  end))
  t.assertEquals(shared:get "kept", "as it was")
  t.assertTrue(other:set("small", "fits"))
  -- What is removed makes room.
  shared:set(0, nil)
  t.assertTrue(shared:set("kept", ("x"):rep(5 * MIB)))
  for _, key in ipairs(shared:keys()) do
    shared:set(key, nil)
  end
  t.assertEquals(select(1, fill(other)), 15)
  for _, key in ipairs(other:keys()) do
    other:set(key, nil)
  end
end

function tests.test_many_values_take_what_they_need()
  local shared = fresh()
  for round = 1, 3 do
    for i = 1, 20000 do
      assert(shared:set("key " .. i, { round, i, "some text of a value" }))
    end
  end
  t.assertEquals(shared:get "key 777", { 3, 777, "some text of a value" })
  for i = 1, 20000 do
    shared:set("key " .. i, nil)
  end
  t.assertEquals(shared:keys(), {})
end

return tests
