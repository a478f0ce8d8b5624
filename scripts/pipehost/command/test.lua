-- SPDX-License-Identifier: MIT
-- The test runner: each file in a state of its own, each test a task with a
-- deadline.
local common = require "pipehost.command.common"
local core = require "pipehost.core"
local lfs = require "lfs"

local M = {}

function M.options(parser)
  local command = parser:command("test", "Run tests: files *_test.lua, or those in folders.")
  command:argument("paths", "Files or folders."):args("+")
  command:option("--filter", "Only tests whose names contain TEXT."):argname("TEXT")
  command:option("--timeout", "Deadline of each test, in ms."):argname("MS")
    :convert(common.milliseconds):default("30000")
  common.script_options(command)
end

local function add(files, path)
  if lfs.attributes(path, "mode") ~= "directory" then
    files[#files + 1] = path
    return
  end
  for name in lfs.dir(path) do
    local inner = path .. "/" .. name
    if name:sub(1, 1) ~= "." and (name:match("_test%.lua$") or lfs.attributes(inner, "mode") == "directory") then
      add(files, inner)
    end
  end
end

local function count_leaks(before)
  local now, leaks = core.host.counts(), {}
  for _, key in ipairs { "pipes", "operations", "listeners" } do
    if now[key] > before[key] then
      leaks[#leaks + 1] = ("%d %s"):format(now[key] - before[key], key)
    end
  end
  return #leaks > 0 and "leaked " .. table.concat(leaks, ", ")
end

-- The collector and the port need some turns until everything is closed.
local function leaks_after(generation, before)
  local leaks
  for _ = 1, 200 do
    generation:start("collect"):wait(1000)
    leaks = count_leaks(before)
    if not leaks then
      break
    end
  end
  return leaks
end

local function run_one(generation, name, args)
  local before = core.host.counts()
  local remote = generation:start("test", name)
  local ok, result = remote:wait(args.timeout)
  if ok == nil then
    remote:cancel()
    remote:wait(1000)
    return "failed", ("not done after %d ms"):format(args.timeout)
  elseif not ok then
    return "failed", result
  elseif type(result) == "table" then
    return "skipped", result.skipped
  end
  local leaks = leaks_after(generation, before)
  return leaks and "failed" or "passed", leaks or nil
end

local function report(total, kind, label, detail)
  total[kind] = total[kind] + 1
  if kind == "passed" then
    print("ok - " .. label)
  elseif kind == "skipped" then
    print(("skip - %s: %s"):format(label, detail))
  else
    print(("not ok - %s\n%s"):format(label, (detail or ""):gsub("^", "  "):gsub("\n", "\n  ")))
  end
end

local function run_file(path, args, total)
  local generation, message = common.open(path, args, "test")
  local file = common.file_name(path)
  if not generation then
    return report(total, "failed", file, message)
  end
  local ok, names = generation:start("list"):wait(args.timeout)
  if not ok then
    report(total, "failed", file, names or "does not load in time")
    return common.close(generation)
  end
  for _, name in ipairs(names) do
    if not args.filter or name:find(args.filter, 1, true) then
      report(total, (function(kind, detail)
        return kind, file .. ": " .. name, detail
      end)(run_one(generation, name, args)))
    end
  end
  common.close(generation)
end

function M.main(args)
  local files, total = {}, { passed = 0, failed = 0, skipped = 0 }
  for _, path in ipairs(args.paths) do
    add(files, path)
  end
  table.sort(files)
  for _, path in ipairs(files) do
    run_file(path, args, total)
  end
  print(("%d passed, %d failed%s"):format(total.passed, total.failed,
    total.skipped > 0 and (", %d skipped"):format(total.skipped) or ""))
  if total.failed > 0 then
    return common.FAILED
  end
  return total.passed + total.skipped > 0 and common.OK or common.NO_TESTS
end

return M
