-- SPDX-License-Identifier: MIT
-- The folders that are watched now, each by a task of its own.
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"
local places = require "pipehost.watch.places"

---@class pipehost.watched_folders
---@field noticed fun() called for every change that matters
---@field writing table<string, number> path of an entry -> since when somebody has it open and writes
local Folders = {}
Folders.__index = Folders

local M = {}

---@param noticed fun()
---@return pipehost.watched_folders
function M.new(noticed)
  return setmetatable({ noticed = noticed, open = {}, refused = {}, writing = {} }, Folders)
end

function Folders:drop(path)
  local folder = self.open[path]
  self.open[path] = nil
  folder.handle:close()
end

-- Another folder may have come into the place of one on the way.
function Folders:drop_below(parent, name)
  for path in pairs(self.open) do
    if places.is_below(path, parent, name) then
      self:drop(path)
    end
  end
end

function Folders:change(path, folder, name, how)
  local place = folder.place
  -- A short name of Windows may stand for any.
  if not place.any and not place.names[places.key(name)] and not name:find "~%d" then
    return false
  end
  local entry = places.entry(path, name)
  if how == "writing" then
    self.writing[entry] = self.writing[entry] or pipe.now()
  else
    self.writing[entry] = nil
    self:drop_below(path, name)
  end
  return true
end

-- Until the folder is gone or dropped.
function Folders:listen(path, folder)
  while true do
    local changes, lost = folder.handle:changes()
    if not changes then
      break
    end
    local matters = lost
    for name, how in pairs(changes) do
      matters = self:change(path, folder, name, how) or matters
    end
    if matters then
      self.noticed()
    end
    if self.open[path] ~= folder then
      return
    end
  end
  if self.open[path] == folder then
    self:drop(path)
    self.noticed()
  end
end

-- One that cannot be watched is said once; one that is not there may come yet.
function Folders:refuse(path, code, info)
  if self.refused[path] ~= code then
    self.refused[path] = code
    local level = code == "absent" and log.debug or code == "denied" and log.info or log.warn
    level(("changes in %s are not seen: %s"):format(path, tostring(info)))
  end
end

function Folders:try_open(path, place)
  local handle, code, info = core.host.watch(path, not place.files)
  if not handle then
    self:refuse(path, code, info)
    return false
  end
  local folder = { handle = handle, place = place }
  self.open[path], self.refused[path] = folder, nil
  pipe.spawn(self.listen, self, path, folder)
  return true
end

---Watches these and no others.
---@param wanted table<string, pipehost.place>
---@return boolean anew some were not watched until now: they may have changed before
function Folders:set(wanted)
  for path, folder in pairs(self.open) do
    local place = wanted[path]
    if not place or (place.files and not folder.place.files) then
      self:drop(path)
    else
      folder.place = place
    end
  end
  local paths, anew = {}, false
  for path in pairs(wanted) do
    paths[#paths + 1] = path
  end
  table.sort(paths) -- a folder before those in it
  for _, path in ipairs(paths) do
    if not self.open[path] then
      anew = self:try_open(path, wanted[path]) or anew
    end
  end
  return anew
end

function Folders:close()
  for path in pairs(self.open) do
    self:drop(path)
  end
end

return M
