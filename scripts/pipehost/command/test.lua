-- SPDX-License-Identifier: MIT
-- pipehost test: each file in a process of its own, which this one starts, and
-- which is this program with --channel.
local all_reports = require "pipehost.runner.report.all"
local common = require "pipehost.command.common"
local core = require "pipehost.core"
local files = require "pipehost.runner.files"
local junit = require "pipehost.runner.report.junit"
local order = require "pipehost.runner.order"
local pipe = require "pipehost.pipe"
local progress = require "pipehost.runner.report.progress"
local runs = require "pipehost.runner.run"
local tap = require "pipehost.runner.report.tap"
local text = require "pipehost.runner.report.text"
local watches = require "pipehost.runner.watch"

local M = {}

local function whole(least)
  return function(word)
    local number = math.tointeger(tonumber(word))
    if not number or number < least then
      return nil, ("'%s' is no whole number from %d on"):format(word, least)
    end
    return number
  end
end

local function hidden_options(command)
  command:option("--channel"):hidden(true)
  command:option("--temporary"):hidden(true)
  command:option("--program"):hidden(true):count("*")
end

function M.options(parser)
  local command = parser:command("test", "Run tests: files *_test.lua, or those in folders.")
  command:argument("paths", "Files or folders."):args("+")
  command:option("--filter", "Only tests where TEXT is part of \"FILE: NAME\"."):argname("TEXT")
  command:option("--jobs", "Files at once."):argname("N"):convert(whole(1))
  command:option("--timeout", "Deadline of each test, in ms."):argname("MS")
    :convert(whole(1)):default("30000")
  command:option("--repeat", "Run each test N times, and look whether its memory grows."):argname("N")
    :target("times"):convert(whole(1)):default("1")
  command:flag("--shuffle", "Run files and tests in another order.")
  command:option("--seed", "For --shuffle and for math.random in tests."):argname("N"):convert(whole(0))
  command:flag("--fail-fast", "Begin no further test after the first failure.")
  command:flag("--watch", "Run again what depends on a file that has changed, until Ctrl-C.")
  command:flag("--list", "Print the names of the tests, and run none.")
  command:flag("--no-isolation", "Linux: the pipes of everybody, not a folder for each file.")
  command:flag("--tap", "Print TAP.")
  command:option("--junit", "Write JUnit's XML as well."):argname("FILE")
  common.script_options(command)
  hidden_options(command)
end

-- The process of a file: what there is to say goes over the channel.
local function run_file(args)
  local file = args.paths[1]
  local generation, message = common.open(file, args, "test")
  if not generation then
    common.complain(message)
    return common.SCRIPT_ERROR
  end
  local ok, why = generation:start("test", {
    file = file, folder = file:match "^(.*)[/\\][^/\\]*$" or ".", channel = args.channel,
    temporary = args.temporary, timeout = args.timeout, seed = args.seed, library = args.library,
  }):wait()
  if not ok then
    common.complain(why, true)
  end
  common.close(generation)
  return ok and common.OK or common.INTERNAL
end

local function complete(args)
  if #args.program == 0 then
    args.program = { core.host.program() or "pipehost" }
  end
  args.jobs = args.jobs or core.host.processors()
  args.seed = args.seed or order.fresh_seed()
end

local function report_of(args)
  local list = { args.tap and tap.new() or text.new(args.verbose) }
  if args.junit then
    list[2] = junit.new(args.junit)
  end
  local shows = core.host.is_terminal "stderr" and not args.quiet
  return all_reports.new(list, shows and progress.new() or nil)
end

-- Nobody should wonder why nothing has run.
local function no_tests(args, found)
  local why = "no function test… is in the tables that the files return"
  if #found == 0 then
    why = "there is no file *_test.lua in " .. table.concat(args.paths, ", ")
  elseif args.filter then
    why = ("none has '%s' in \"FILE: NAME\"; --list shows them"):format(args.filter)
  end
  common.complain("no tests: " .. why)
  return common.NO_TESTS
end

local function print_list(args, run, found)
  local count = 0
  for _, entry in ipairs(run:list(found)) do
    for _, name in ipairs(entry.names) do
      count = count + 1
      print(entry.file .. ": " .. name)
    end
  end
  return count > 0 and common.OK or no_tests(args, found)
end

local function status_of(args, run, found)
  local total = run.total
  if total.failed > 0 or run.stopped or run.unreported then
    return common.FAILED
  end
  return total.passed + total.skipped > 0 and common.OK or no_tests(args, found)
end

-- Those that failed the last time come first.
local function failures_first(found, failed)
  local list = {}
  for _, wanted in ipairs { true, false } do
    for _, file in ipairs(found) do
      if (failed[file] == true) == wanted then
        list[#list + 1] = file
      end
    end
  end
  return list
end

-- nil: a signal has come.
local function next_change(watch)
  local change = pipe.spawn(watch.wait, watch)
  local signal = pipe.spawn(core.host.wait_signal)
  if pipe.wait_any { change, signal } == signal then
    change:cancel()
    return nil
  end
  signal:cancel()
  return select(2, change:wait())
end

local function run_and_watch(args, found)
  local watch, failed = watches.new(args.paths), {}
  while found do
    local run = runs.new(args, report_of(args))
    run:main(failures_first(found, failed))
    for _, file in ipairs(found) do
      failed[file] = run.failed_files[file]
      watch:note(file, run.sources[file])
    end
    found = nil
    if not run.interrupted then
      print "waiting for a change; Ctrl-C ends"
      found = next_change(watch)
    end
  end
  watch:close()
  return next(failed) and common.FAILED or common.OK
end

function M.main(args)
  if args.channel then
    return run_file(args)
  end
  local found, message = files.find(args.paths)
  if not found then
    common.complain(message)
    return common.USAGE
  end
  complete(args)
  if args.shuffle then
    found = order.shuffled(found, args.seed, "")
  end
  if args.watch then
    return run_and_watch(args, found)
  end
  local run = runs.new(args, report_of(args))
  if args.list then
    return print_list(args, run, found)
  end
  run:main(found)
  return status_of(args, run, found)
end

return M
