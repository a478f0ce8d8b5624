-- SPDX-License-Identifier: MIT
local common = require "pipehost.command.common"
local control = require "pipehost.control"
local core = require "pipehost.core"
local lfs = require "lfs"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local supervisor = require "pipehost.supervisor"

local M = {}

local DRAIN_MS = 5000

function M.options(parser)
  local command = parser:command("serve", "Serve scripts, or those in folders, until stopped.")
  command:argument("scripts", "Scripts, or folders with server.lua and *_server.lua."):args("+")
  common.script_options(command)
  command:option("--control", "Name of the control pipe."):argname("NAME")
  command:option("--drain", "Time for clients to finish at a stop, in ms."):argname("MS")
    :convert(common.milliseconds):default(tostring(DRAIN_MS))
end

-- Which files to serve ----------------------------------------------------------

local function is_server(name)
  return name == "server.lua" or name:match("_server%.lua$") ~= nil
end

local function add_folder(files, folder, deeper)
  local names = {}
  for name in lfs.dir(folder) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name
    local mode = name:sub(1, 1) ~= "." and lfs.attributes(path, "mode")
    if mode == "file" and is_server(name) then
      files[#files + 1] = path
    elseif mode == "directory" and deeper then
      add_folder(files, path, false)
    end
  end
end

local function find_files(arguments)
  local files = {}
  for _, path in ipairs(arguments) do
    local before = #files
    -- Windows knows no folder with a separator at its end.
    local folder = path:gsub("([^:/\\])[/\\]+$", "%1")
    if lfs.attributes(folder, "mode") == "directory" then
      add_folder(files, folder, true)
      if #files == before then
        return nil, ("%s: no server.lua and no *_server.lua in it or one level down"):format(path)
      end
    else
      files[#files + 1] = path
    end
  end
  return files
end

-- Starting and stopping -----------------------------------------------------------

local function close_all(scripts)
  for _, script in ipairs(scripts) do
    script:close()
  end
end

-- Gives true when a second signal asked to stop at once.
local function drain(scripts, ms)
  local tasks = {}
  for _, script in ipairs(scripts) do
    tasks[#tasks + 1] = script:stopping(ms)
  end
  local all = pipe.spawn(function()
    return #tasks == 0 or pipe.wait_all(tasks)
  end)
  local again = pipe.spawn(core.host.wait_signal)
  local at_once = pipe.wait_any { all, again } == again
  again:cancel()
  return at_once
end

local function stop(scripts, ms)
  log.info(("stopping; clients have %d ms to finish"):format(ms))
  local at_once = drain(scripts, ms)
  close_all(scripts)
  log.info(at_once and "stopped at once" or "stopped")
end

-- All are loaded before the first one is bound.
local function start_all(files, args)
  local scripts, candidates = {}, {}
  local function fail(message, status)
    for i = #scripts + 1, #candidates do
      candidates[i].script:discard(candidates[i])
    end
    drain(scripts, 0)
    close_all(scripts)
    return nil, message, status
  end
  for i, path in ipairs(files) do
    local script = supervisor.new(path, args)
    local candidate, message, status = script:load()
    if not candidate then
      return fail(message, status)
    end
    candidate.script, candidates[i] = script, candidate
  end
  for i, candidate in ipairs(candidates) do
    local ok, message, status = candidate.script:commit(candidate)
    if not ok then
      table.remove(candidates, i)
      return fail(message, status)
    end
    scripts[i] = candidate.script
  end
  return scripts
end

local function reload_all(scripts)
  for _, script in ipairs(scripts) do
    script:reload()
  end
end

function M.main(args)
  local files, message = find_files(args.scripts)
  if not files then
    common.complain(message)
    return common.USAGE
  end
  local scripts, why, status = start_all(files, args)
  if not scripts then
    common.complain(why, args.verbose)
    return status
  end
  local server, control_why = control.start(args.control, scripts, args.version_text)
  if not server then
    common.complain(control_why)
    stop(scripts, 0)
    return common.UNAVAILABLE
  end
  log.info(("serving %d script%s, control pipe %s"):format(#scripts, #scripts == 1 and "" or "s", server.name))
  repeat
    local signal = core.host.wait_signal()
    if signal == "reload" then
      pipe.spawn(reload_all, scripts)
    end
  until signal == "stop"
  stop(scripts, args.drain)
  server:stop(1000)
  return common.OK
end

return M
