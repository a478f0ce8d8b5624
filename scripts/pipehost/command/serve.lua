-- SPDX-License-Identifier: MIT
local common = require "pipehost.command.common"
local control = require "pipehost.control"
local core = require "pipehost.core"
local crew = require "pipehost.worker.crew"
local log = require "pipehost.log"
local serving = require "pipehost.serving"
local watcher = require "pipehost.watch.watcher"

local M = {}

local DRAIN_MS = 5000
local MOST_WORKERS = 64

function M.options(parser)
  local command = parser:command("serve", "Serve scripts, or those in folders, until stopped.")
  command:argument("scripts", "Scripts, or folders with server.lua and *_server.lua."):args("+")
  common.script_options(command)
  command:flag("--watch", "Reload scripts when their files change.")
  command:option("--poll-ms", "With --watch: look every so many ms, where changes are not told (network drives).")
    :argname("MS"):convert(common.milliseconds)
  command:option("--control", "Name of the control pipe."):argname("NAME")
  command:option("--workers", "Threads that serve; clients of servers with workers = \"all\" are spread over them.")
    :argname("N"):convert(common.count):default "1"
  command:option("--drain", "Time for clients to finish at a stop, in ms."):argname("MS")
    :convert(common.milliseconds):default(tostring(DRAIN_MS))
end

local function has_terminal()
  return core.host.is_terminal "stdin" or core.host.is_terminal "stdout" or core.host.is_terminal "stderr"
end

-- SIGHUP asks for a reload, but not when it comes from the end of the terminal.
local function until_stopped(served)
  local had_terminal = has_terminal()
  repeat
    local signal = core.host.wait_signal()
    local hung_up = had_terminal and not has_terminal()
    if signal == "reload" and not hung_up then
      served:reload_all()
    end
  until signal == "stop" or hung_up
end

-- The other workers, before anything is loaded: a state knows how many there are.
local function start_crew(args)
  if args.workers > MOST_WORKERS then
    return nil, ("--workers %d: at most %d"):format(args.workers, MOST_WORKERS), common.USAGE
  elseif args.workers > 1 and args.faults and args.faults[1] then
    return nil, "--faults: not with --workers, whose clients go from one thread to another", common.USAGE
  elseif args.workers > 1 then
    local why
    args.crew, why = crew.start(args.workers, args)
    return args.crew ~= nil, why, common.INTERNAL
  end
  return true
end

function M.main(args)
  if args.poll_ms and not args.watch then
    common.complain "--poll-ms is how --watch looks; it needs that"
    return common.USAGE
  end
  local served, message = serving.new(args.scripts, args)
  if not served then
    common.complain(message)
    return common.USAGE
  end
  local ok, why, status = start_crew(args)
  if ok then
    ok, why, status = served:start()
  end
  if not ok then
    common.complain(why, args.verbose)
    return status
  end
  local server, control_why = control.start(args.control, served, args.version_text)
  if not server then
    common.complain(control_why)
    served:stop(0)
    return common.UNAVAILABLE
  end
  local watching = args.watch and watcher.start(served, args.poll_ms)
  local count = #served.scripts
  log.info(("serving %d script%s, control pipe %s"):format(count, count == 1 and "" or "s", server.name))
  until_stopped(served)
  if watching then
    watching:cancel()
  end
  served:stop(args.drain)
  server:stop(1000)
  return common.OK
end

return M
