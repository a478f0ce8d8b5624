-- SPDX-License-Identifier: MIT
-- The scripts that are served: which files they are, and their start and stop.
local core = require "pipehost.core"
local lfs = require "lfs"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local supervisor = require "pipehost.supervisor"

---@class pipehost.serving
---@field scripts pipehost.supervised[] in the order of the command line
---@field folders string[] those of the command line
---@field committed? fun(script: pipehost.supervised, generation: pipehost.generation) for scripts that are added
local Serving = {}
Serving.__index = Serving

local M = {}

-- Which files to serve ----------------------------------------------------------

local function is_server(name)
  return name == "server.lua" or name:match("_server%.lua$") ~= nil
end

local function entries(folder)
  local names = {}
  local ok, next_name, state = pcall(lfs.dir, folder)
  for name in ok and next_name or next, ok and state or {} do
    if name:sub(1, 1) ~= "." then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

---The folders in a folder.
---@param folder string
---@return string[]
function M.subfolders(folder)
  local list = {}
  for _, name in ipairs(entries(folder)) do
    local path = folder .. "/" .. name
    if lfs.attributes(path, "mode") == "directory" then
      list[#list + 1] = path
    end
  end
  return list
end

local function add_folder(files, folder)
  for _, name in ipairs(entries(folder)) do
    local path = folder .. "/" .. name
    if is_server(name) and lfs.attributes(path, "mode") == "file" then
      files[#files + 1] = path
    end
  end
end

-- server.lua and *_server.lua, in it and one level down.
local function files_of(folder)
  local files = {}
  add_folder(files, folder)
  for _, path in ipairs(M.subfolders(folder)) do
    add_folder(files, path)
  end
  return files
end

---@param arguments string[] files and folders
---@param args table the command line
---@return pipehost.serving?
---@return string? message
function M.new(arguments, args)
  local self = setmetatable({ args = args, files = {}, found = {}, folders = {}, scripts = {} }, Serving)
  for _, path in ipairs(arguments) do
    -- Windows knows no folder with a separator at its end.
    local folder = path:gsub("([^:/\\])[/\\]+$", "%1")
    if lfs.attributes(folder, "mode") == "directory" then
      local found = files_of(folder)
      if not found[1] then
        return nil, ("%s: no server.lua and no *_server.lua in it or one level down"):format(path)
      end
      table.insert(self.folders, folder)
      for _, file in ipairs(found) do
        table.insert(self.files, file)
        self.found[file] = true
      end
    else
      table.insert(self.files, path)
    end
  end
  return self
end

-- Starting ------------------------------------------------------------------------

---Starts all, or none: every one is loaded before the first one is bound.
---@return boolean?
---@return string? message
---@return integer? status
function Serving:start()
  local candidates = {}
  local function fail(message, status)
    for i = #self.scripts + 1, #candidates do
      candidates[i].generation:close()
    end
    self:drain(0)
    self:close()
    return nil, message, status
  end
  for i, path in ipairs(self.files) do
    local script = supervisor.new(path, self.args)
    script.found = self.found[path]
    local generation, message, status = script:load()
    if not generation then
      return fail(message, status)
    end
    candidates[i] = { script = script, generation = generation }
  end
  for i, candidate in ipairs(candidates) do
    local ok, message, status = candidate.script:commit(candidate.generation)
    if not ok then
      table.remove(candidates, i)
      return fail(message, status)
    end
    self.scripts[i] = candidate.script
  end
  return true
end

-- Watched folders: what appears, and what goes ------------------------------------------

---The files that its folders have now and that are not served, and the scripts
---of its folders whose files have gone.
---@return string[] appeared
---@return pipehost.supervised[] gone
function Serving:scan()
  local there, appeared, gone = {}, {}, {}
  for _, folder in ipairs(self.folders) do
    for _, path in ipairs(files_of(folder)) do
      there[path] = true
    end
  end
  for _, script in ipairs(self.scripts) do
    if script.found and not there[script.path] then
      gone[#gone + 1] = script
    end
    there[script.path] = nil
  end
  for path in pairs(there) do
    appeared[#appeared + 1] = path
  end
  table.sort(appeared)
  return appeared, gone
end

---Serves one more file. Where it fails it stays listed, to be tried again.
---@param path string
function Serving:add(path)
  local script = supervisor.new(path, self.args)
  script.found, script.committed = true, self.committed
  table.insert(self.scripts, script)
  script:reload {}
end

---Serves a script no more: its clients have the drain time to finish.
---@param script pipehost.supervised
function Serving:remove(script)
  for i, other in ipairs(self.scripts) do
    if other == script then
      table.remove(self.scripts, i)
    end
  end
  log.info(("%s: is gone, and stops"):format(script.path))
  script:stopping(self.args.drain):wait()
  script:close()
end

-- Stopping ------------------------------------------------------------------------

function Serving:close()
  for _, script in ipairs(self.scripts) do
    script:close()
  end
end

-- Gives true when a second signal asked to stop at once.
function Serving:drain(ms)
  local tasks = {}
  for _, script in ipairs(self.scripts) do
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

---@param ms number for clients to finish
function Serving:stop(ms)
  log.info(("stopping; clients have %d ms to finish"):format(ms))
  local at_once = self:drain(ms)
  self:close()
  log.info(at_once and "stopped at once" or "stopped")
end

---Reloads every script that has changed, side by side.
function Serving:reload_all()
  for _, script in ipairs(self.scripts) do
    pipe.spawn(script.reload, script, {})
  end
end

return M
