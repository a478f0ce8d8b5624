-- SPDX-License-Identifier: MIT
-- In the process of a test file: loads it, tells the runner which tests there
-- are, and runs those that it names, one after the other.
local case = require "pipehost.test.case"
local channel = require "pipehost.runner.channel"
local context = require "pipehost.test.context"
local core = require "pipehost.core"
local dependencies = require "pipehost.test.dependencies"
local failure = require "pipehost.test.failure"
local pipe = require "pipehost.pipe"

local CONNECT_MS = 20000
local LONGEST = 60000 -- bytes of a message

local function shorten(text)
  if text and #text > LONGEST then
    return ("%s\n… %d bytes left out …\n%s"):format(text:sub(1, LONGEST // 2), #text - LONGEST, text:sub(-LONGEST // 2))
  end
  return text
end

local function list_tests(tests)
  local list = {}
  for name, fn in pairs(tests) do
    if type(name) == "string" and name:match "^test" and type(fn) == "function" then
      list[#list + 1] = { name = name, line = debug.getinfo(fn, "S").linedefined }
    end
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

-- The file's own chunk, with the deadline of a test.
local function load_file(of, settings, compile)
  local tests
  local found = case.run_bounded(of, function()
    tests = compile()()
    if type(tests) ~= "table" then
      failure.raise(("a test file returns a table of its tests, this one returned %s"):format(
        tests == nil and "nothing" or "a " .. type(tests)), settings.file)
    end
  end)
  return tests, found
end

local function send_result(to, result)
  io.stdout:flush()
  if result.failure then
    result.failure.message = shorten(result.failure.message)
  end
  result.kind = "result"
  assert(to:send(result))
end

local function serve(to, of, tests, settings)
  while true do
    local frame = assert(to:receive())
    if frame.run then
      send_result(to, case.run(tests, frame.run, settings.timeout))
    else
      local found = case.close_file(of)
      assert(to:send { kind = "done", failure = found, sources = dependencies.list() })
      return
    end
  end
end

---@param settings table channel, file, timeout, seed, temporary
---@param compile fun(): function
return function(settings, compile)
  core.host_task()
  core.phase "running"
  core.limit_tasks(math.max(settings.timeout // 2, 1)) -- what loops for ever is told apart in time
  local conn = assert(pipe.open(settings.channel, { mode = "byte", timeout = CONNECT_MS }))
  local to = channel.new(conn)
  settings.channel = to
  local of = context.open_file(settings, settings.timeout)
  local tests, found = load_file(of, settings, compile)
  if found then
    case.close_file(of)
    assert(to:send { kind = "refused", skipped = found.skipped, failure = not found.skipped and found or nil,
      sources = dependencies.list() })
  else
    assert(to:send { kind = "loaded", tests = list_tests(tests) })
    serve(to, of, tests, settings)
  end
  conn:close(1000)
end
