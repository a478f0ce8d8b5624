-- SPDX-License-Identifier: MIT
-- test --watch: which test files a change concerns. Folders that are watched tell
-- at once that something has happened; looking at the files decides.
local finder = require "pipehost.runner.files"
local folders = require "pipehost.watch.folders"
local lfs = require "lfs"
local pipe = require "pipehost.pipe"
local places = require "pipehost.watch.places"

local POLL_MS = 1000 -- where no folder tells
local QUIET_MS = 100 -- after a change, for those that come with it
local MOST_READ = 1 << 20 -- bytes; of larger files only size and time count

---@class pipehost.runner.watch
---@field arguments string[] of the command line
---@field needs table<string, string[]> what each test file is made of
---@field seen table<string, string> signatures by path
local Watch = {}
Watch.__index = Watch

local M = {}

---@param arguments string[]
---@return pipehost.runner.watch
function M.new(arguments)
  local self = setmetatable({ arguments = arguments, needs = {}, seen = {}, noticed = pipe.event() }, Watch)
  self.folders = folders.new(function()
    self.noticed:set()
  end)
  return self
end

-- What a change of the file changes; "" for one that is not there.
local function signature(path)
  local about = lfs.attributes(path)
  if not about or about.mode ~= "file" then
    return ""
  end
  local text = about.size .. " " .. about.modification
  if about.size > MOST_READ then
    return text
  end
  local file = io.open(path, "rb")
  if file then
    text = text .. (file:read "a" or "")
    file:close()
  end
  return text
end

---What a test file was made of in its last run; nil: it did not tell.
---@param file string
---@param sources? string[]
function Watch:note(file, sources)
  self.needs[file] = sources or self.needs[file] or { file }
  for _, path in ipairs(self.needs[file]) do
    self.seen[path] = self.seen[path] or signature(path)
  end
end

function Watch:watch_folders()
  local wanted = {}
  for _, path in ipairs(self.arguments) do
    if lfs.attributes(path, "mode") == "directory" then
      places.add_folder(wanted, path)
    end
  end
  for path in pairs(self.seen) do
    places.add_file(wanted, path)
  end
  self.folders:set(wanted)
end

-- The files that differ from what was seen.
function Watch:compare()
  local changed = {}
  for path, before in pairs(self.seen) do
    local now = signature(path)
    if now ~= before then
      self.seen[path] = now
      changed[path] = true
    end
  end
  return changed
end

-- The test files that are new, and those that a change concerns.
function Watch:look()
  local changed, concerned = self:compare(), {}
  for _, file in ipairs(finder.find(self.arguments) or {}) do
    local needs = self.needs[file]
    local hit = not needs
    for _, path in ipairs(needs or {}) do
      hit = hit or changed[path]
    end
    if hit then
      concerned[#concerned + 1] = file
    end
  end
  return concerned
end

---Waits until a change concerns a test file.
---@return string[] files
function Watch:wait()
  self:watch_folders()
  while true do
    local told = self.noticed:wait(POLL_MS)
    if told then
      pipe.sleep(QUIET_MS)
      self.noticed:reset()
    end
    local concerned = self:look()
    if concerned[1] then
      return concerned
    end
  end
end

function Watch:close()
  self.folders:close()
end

return M
