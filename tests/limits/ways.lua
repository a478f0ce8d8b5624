-- SPDX-License-Identifier: MIT
-- Served by limits_test.py: each message names a way to ways.
local computed = require "computed"
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

function ways.wrap_dies_then_closes()
  coroutine.wrap(function()
    local guard <close> = endless
    error(guard)
  end)()
end

function ways.close_in_wrap()
  for _ in coroutine.wrap(function()
    while true do
      pcall(function()
        local guard <close> = endless
        coroutine.yield(guard)
      end)
    end
  end) do end
end

function ways.close_of_closes()
  local function nest(n)
    local co = coroutine.create(function()
      local guard <close> = setmetatable({}, { __close = function() nest(n + 1) end })
      coroutine.yield(guard)
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end
  while true do pcall(nest, 0) end
end

function ways.close_raises_for_ever()
  local raises = setmetatable({}, { __close = function() error "again" end })
  while true do
    pcall(function()
      local one <close> = raises
      local two <close> = raises
      return one, two
    end)
  end
end

function ways.closes_itself()
  return tostring((pcall(coroutine.close, coroutine.running())))
end

function ways.resumes_itself()
  return tostring(select(2, coroutine.resume(coroutine.running())))
end

function ways.closes_its_parent()
  local co
  co = coroutine.create(function()
    return coroutine.wrap(function() return pcall(coroutine.close, co) end)()
  end)
  return tostring(select(2, coroutine.resume(co)))
end

-- The coroutine of the task that answers one message, taken by the next.
local task_coroutine
function ways.takes_a_tasks_coroutine(conn)
  task_coroutine = coroutine.running()
  pipehost.pipe.spawn(function()
    conn:send(tostring((coroutine.resume(task_coroutine))) .. tostring((coroutine.close(task_coroutine))))
  end)
  pipehost.pipe.sleep(20)
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

function ways.pattern_recursion() (("("):rep(1e5)):find(("%b()"):rep(1e4)) end

function ways.pattern_balance()
  while true do (("("):rep(1e6)):find "%b()" end
end

function ways.format_of_objects()
  local object = setmetatable({}, { __tostring = loop })
  return ("%s"):format(object)
end

function ways.format_for_ever()
  while true do ("%q %99.99f %s"):format(("\0"):rep(1e6), 1e300, {}) end
end

function ways.rep_for_ever()
  while true do ("x"):rep(1 << 20, ("y"):rep(7)) end
end

function ways.rep_overflow() return #("x"):rep(1 << 62) end

function ways.utf8_for_ever()
  local text = ("\u{10FFFF}"):rep(2e6)
  while true do
    utf8.len(text)
    utf8.offset(text, -1)
    utf8.codepoint(text, -4)
  end
end

function ways.unpack_for_ever()
  local text = ("x"):rep(1e6)
  while true do string.unpack(("I8"):rep(100), text) end
end

function ways.byte_of_all() return ("x"):rep(2e7):byte(1, -1) end

function ways.date_of_all() return #os.date(("%%"):rep(1e7)) end

function ways.date_for_ever()
  while true do os.date(("%c"):rep(2000)) end
end

function ways.number_of_digits()
  return tonumber(("1"):rep(65537), 7)
end

function ways.numbers_for_ever()
  local digits = ("1"):rep(65536)
  while true do tonumber(digits, 7) end
end

function ways.strings_compared()
  local one, two = ("x"):rep(1e7), ("x"):rep(1e7) .. "y"
  while one < two do end
end

function ways.collect_for_ever()
  while true do collectgarbage() end
end

function ways.collect_by_steps()
  collectgarbage "stop"
  while true do collectgarbage("step", 1) end
end

function ways.collector_stopped()
  collectgarbage "stop"
  local kept
  while true do kept = { kept and #kept, ("x"):rep(1e4) } end
end

function ways.collector_generational()
  collectgarbage "generational"
  local kept = {}
  while true do kept[#kept % 1000 + 1] = { kept[#kept // 2], ("x"):rep(1e3) } end
end

function ways.collector_as_it_was()
  collectgarbage "restart"
  return collectgarbage "incremental"
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

function ways.tostring_raises()
  error(setmetatable({}, { __tostring = function() error "in __tostring" end }))
end

function ways.tostring_of_errors()
  error(setmetatable({}, { __tostring = function() return {} end }))
end

function ways.error_of_nil() error() end

function ways.error_in_handlers() xpcall(error, function() error "in the handler" end) error "after" end

function ways.logged_object() pipehost.log.warn(setmetatable({}, { __tostring = loop })) end

function ways.length_of_a_list()
  pipehost.pipe.wait_any(lying, 0)
end

function ways.lists_of_events()
  local event = pipehost.pipe.event()
  local list = setmetatable({}, { __len = function() return 1 << 20 end, __index = function() return event end })
  while true do pipehost.pipe.wait_any(list, 0) end
end

-- The compiler takes quadratic time for these.
function ways.load_or()
  return tostring((load("return x" .. (" or x"):rep(2e5))))
end

function ways.load_elseif()
  return tostring((load("if x then y() " .. ("elseif x then y() "):rep(5e4) .. "end")))
end

function ways.load_goto()
  local parts = {}
  for i = 1, 30000 do parts[i] = ("::a%d:: goto a%d "):format(i, i) end
  return tostring((load(table.concat(parts))))
end

function ways.load_for_ever()
  local text = ("x = 1 "):rep(1e5)
  while true do load(text) end
end

function ways.load_deep()
  return tostring((load("return " .. ("("):rep(1e5))))
end

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

function ways.recursion_of_pcall()
  local function f() return pcall(f) end
  while true do f() end
end

function ways.recursion_of_gsub()
  local function f() return (("x"):gsub(".", f)) end
  while true do pcall(f) end
end

function ways.recursion_of_tostring()
  local object = setmetatable({}, { __tostring = function(self) return tostring(self) end })
  while true do pcall(tostring, object) end
end

function ways.recursion_of_index()
  local object = {}
  setmetatable(object, { __index = function(self, key) return self[key + 1] end })
  while true do pcall(function() return object[1] end) end
end

function ways.no_hooks_for_scripts()
  debug.sethook()
end

function ways.no_registry_for_scripts()
  debug.getregistry()
end

function ways.sets_upvalues_of_the_library()
  debug.setupvalue(setmetatable, 1, loop)
end

function ways.sets_upvalues_of_lua_functions()
  for i = 1, 20 do debug.setupvalue(coroutine.wrap, i, loop) end
end

function ways.joins_upvalues_of_the_library()
  debug.upvaluejoin(function() return loop end, 1, coroutine.wrap, 1)
end

function ways.sets_locals_of_the_library()
  for level = 1, 20 do
    for i = 1, 20 do debug.setlocal(level, i, loop) end
  end
end

function ways.metatable_of_a_server()
  getmetatable(pipehost.server { name = "x" .. 1, on_message = loop }.core).__gc = loop
end

function ways.metatable_of_strings()
  getmetatable("").__index = loop
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

-- Data on its way is memory of the script, though not in its state.
local function pair()
  local name = pipehost.config.first .. "-pair"
  local server = assert(pipehost.pipe.create(name, {}))
  local client = assert(pipehost.pipe.open(name))
  assert(server:connect(5000))
  return server, client
end

function ways.writes_kept()
  local server, client = pair()
  local ops = { client }
  while true do ops[#ops + 1] = server:write_op(("x"):rep(60000)) end
end

function ways.writes_forgotten()
  local server, client = pair()
  while client do server:write_op(("x"):rep(60000)) end
end

function ways.results_kept()
  local server, client = pair()
  local ops = {}
  while true do
    assert(client:send(("x"):rep(60000)))
    ops[#ops + 1] = server:receive_op()
    assert(ops[#ops]:wait(5000))
  end
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
  local pid = message:match "^computed (%d+)$"
  if pid then
    return tostring(computed(pid))
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
