-- SPDX-License-Identifier: MIT
-- Served by limits_test.py: each message names a way to ways.
local pipehost = require "pipehost"

local function loop()
  while true do end
end

local endless = setmetatable({}, { __close = loop })
local lying = setmetatable({}, { __len = function() return 1 << 40 end })
local ways = {}

function ways.loop() loop() end

function ways.pcall_loop()
  while true do pcall(loop) end
end

function ways.pcall_c_function()
  while true do pcall(string.find, ("a"):rep(1e5), "a-a-a-a-b") end
end

function ways.tail_called_pattern()
  return pcall(string.find, ("a"):rep(1e5), "a-a-a-a-b")
end

function ways.coroutine_loop()
  coroutine.resume(coroutine.create(loop))
  while true do coroutine.resume(coroutine.create(loop)) end
end

function ways.wrap_loop()
  local co = coroutine.wrap(function()
    while true do pcall(loop) end
  end)
  pcall(co)
  loop()
end

function ways.many_coroutines()
  while true do
    coroutine.wrap(function() for _ = 1, 10 do end end)()
  end
end

function ways.nested_coroutines()
  local function deeper(n)
    if n == 0 then loop() end
    coroutine.wrap(deeper)(n - 1)
  end
  while true do pcall(deeper, 20) end
end

function ways.tasks()
  local task = pipehost.pipe.spawn(loop)
  local ok, message = pcall(task.wait, task)
  return tostring(ok) .. " " .. message:match("[^\n]*")
end

function ways.waits_and_loops(conn)
  conn:send "first"
  loop()
end

function ways.close_variable_that_waits()
  while true do
    pcall(function()
      local guard <close> = setmetatable({}, { __close = function() pipehost.pipe.sleep(1) end })
      return guard, loop()
    end)
  end
end

function ways.operation_to_close(conn)
  while true do
    pcall(function()
      local op <close> = conn:read_op(10)
      return op, loop()
    end)
  end
end

function ways.xpcall_handler() xpcall(loop, loop) end

function ways.xpcall_handler_first() xpcall(error, loop) end

function ways.coroutine_dies_then_closes()
  local co = coroutine.create(function()
    local guard <close> = endless
    return guard, loop()
  end)
  coroutine.resume(co)
  coroutine.close(co)
end

function ways.closes_a_suspended_coroutine()
  local co = coroutine.create(function()
    local guard <close> = endless
    coroutine.yield(guard)
  end)
  coroutine.resume(co)
  coroutine.close(co)
end

-- The dead coroutine of one message is closed by the next.
local dead
function ways.leave_dead_coroutine()
  dead = coroutine.create(function()
    local guard <close> = endless
    return guard, loop()
  end)
  coroutine.resume(dead)
end

function ways.close_dead_coroutine()
  return tostring(dead and (coroutine.close(dead)))
end

function ways.close_variable()
  local guard <close> = endless
  return guard and nil
end

function ways.close_variables_in_pcall()
  while true do
    pcall(function()
      local one <close> = endless
      local two <close> = endless
      return one, two, loop()
    end)
  end
end

function ways.finalizer()
  setmetatable({}, { __gc = loop })
end

function ways.finalizer_by_debug()
  debug.setmetatable({}, { __gc = loop })
end

function ways.finalizer_of_files()
  debug.getmetatable(io.stdout).__gc = loop
end

function ways.late_finalizer()
  local metatable = {}
  setmetatable({}, metatable)
  metatable.__gc = loop
  collectgarbage()
  collectgarbage()
  return "inert"
end

function ways.pattern_questions()
  (("a"):rep(28)):find(("a?"):rep(28) .. ("a"):rep(28))
end

function ways.pattern_minus() (("a"):rep(1e5)):find("a-a-a-a-b") end

function ways.pattern_gsub() (("a"):rep(1e5)):gsub("a-a-a-a-b", "") end

function ways.pattern_gmatch()
  for _ in (("a"):rep(1e5)):gmatch("a-a-a-a-b") do end
end

function ways.plain_find() (("a"):rep(4e6)):find(("a"):rep(2e6) .. "b", 1, true) end

function ways.rep_of_nothing() return tostring(#(""):rep(1 << 40)) end

function ways.table_insert() table.insert(lying, 1, 1) end

function ways.table_remove() table.remove(lying, 1) end

function ways.table_move() table.move({}, 1, 1 << 40, 2) end

function ways.table_concat() table.concat(setmetatable({}, { __index = table.concat }), "", 1, 1 << 40) end

function ways.table_unpack() table.unpack(lying) end

function ways.sort_without_comparator()
  local list = {}
  for i = 1, 1e6 do list[i] = (i * 7919) % 1000003 end
  pipehost.pipe.sleep(0)
  while true do table.sort(list) end
end

function ways.sort_comparator()
  local list = {}
  for i = 1, 1000 do list[i] = i end
  while true do
    table.sort(list, function(a, b) return a > b end)
  end
end

function ways.sort_lying() table.sort(setmetatable({}, { __len = function() return 1 << 30 end })) end

function ways.gsub_callback()
  while true do (("x"):rep(1000)):gsub(".", function(c) return c end) end
end

function ways.index_function()
  table.concat(setmetatable({}, { __index = function() loop() end }), "", 1, 10)
end

function ways.tostring_loop() tostring(setmetatable({}, { __tostring = loop })) end

function ways.error_object() error(setmetatable({}, { __tostring = loop })) end

function ways.load_large()
  local part = "x = 1 "
  return load(part:rep(5e6 // #part)) and "loaded" or error("too large", 0)
end

function ways.load_reader()
  return load(function() return "x = 1 " end) and "loaded" or error("too large", 0)
end

function ways.load_reader_loop() load(loop) end

function ways.gsub_huge()
  local text = ("x"):rep(1e6)
  while true do text:gsub(".", "%0") end
end

function ways.recursion()
  local function f() return 1 + f() end
  return f()
end

function ways.memory()
  local list = {}
  while true do list[#list + 1] = ("x"):rep(8e6 + #list) end
end

function ways.one_string() return #("x"):rep(1e9) end

function ways.memory_caught()
  local ok, message = pcall(ways.memory)
  return tostring(ok) .. " " .. tostring(message)
end

local kept = {}
function ways.leak()
  while true do kept[#kept + 1] = ("x"):rep(8e6 + #kept) end
end

function ways.free()
  kept = {}
  collectgarbage()
  return "freed"
end

local last_reason = ""

local function answer(conn, message)
  if message == "clock" then
    return tostring(os.clock() * 1000)
  elseif message == "reason" then
    return last_reason
  elseif message == "forget" then
    last_reason = ""
    return ""
  end
  local way = ways[message]
  if not way then
    return "no way " .. message
  end
  return way(conn)
end

pipehost.server {
  name = pipehost.config.first,
  on_message = answer,
  on_close = function(_, reason)
    last_reason = reason
  end,
}
pipehost.server { name = pipehost.config.second, on_message = answer }
