-- SPDX-License-Identifier: MIT
local common = require "pipehost.command.common"
local control = require "pipehost.control"
local core = require "pipehost.core"
local lfs = require "lfs"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

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
    if lfs.attributes(path, "mode") == "directory" then
      add_folder(files, path:gsub("[/\\]+$", ""), true)
      if #files == before then
        return nil, ("%s: no server.lua and no *_server.lua in it or one level down"):format(path)
      end
    else
      files[#files + 1] = path
    end
  end
  return files
end

-- Starting ----------------------------------------------------------------------

local function load(path, args)
  local generation, message, status = common.open(path, args, "serve")
  if not generation then
    return nil, message, status
  end
  local script = { path = path, generation = generation, number = 1, since = pipe.now() }
  local ok, why = generation:start("load"):wait()
  if not ok then
    common.close(generation)
    return nil, why, common.SCRIPT_ERROR
  end
  return script
end

local function commit(script)
  local ok, done, message = script.generation:start("commit"):wait()
  if ok and done then
    return true
  end
  return nil, ok and message or done, ok and common.UNAVAILABLE or common.SCRIPT_ERROR
end

local function close_all(scripts)
  for _, script in ipairs(scripts) do
    common.close(script.generation)
  end
end

local function start_all(files, args)
  local scripts = {}
  local function fail(message, status)
    for _, script in ipairs(scripts) do
      script.generation:start("stop", 0):wait(1000)
    end
    close_all(scripts)
    return nil, message, status
  end
  for _, path in ipairs(files) do
    local script, message, status = load(path, args)
    if not script then
      return fail(message, status)
    end
    scripts[#scripts + 1] = script
  end
  for _, script in ipairs(scripts) do
    local ok, message, status = commit(script)
    if not ok then
      return fail(message, status)
    end
  end
  return scripts
end

-- Stopping ----------------------------------------------------------------------

local function drain(scripts, ms)
  local tasks = {}
  for _, script in ipairs(scripts) do
    local remote = script.generation:start("stop", ms)
    if remote then
      tasks[#tasks + 1] = pipe.spawn(function()
        remote:wait(ms + 2000)
      end)
    end
  end
  local all = pipe.spawn(function()
    pipe.wait_all(tasks)
    return true
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
      log.warn("reload: this version serves a script as it was loaded; restart to change it")
    end
  until signal == "stop"
  stop(scripts, args.drain)
  server:stop(1000)
  return common.OK
end

return M
