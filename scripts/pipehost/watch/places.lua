-- SPDX-License-Identifier: MIT
-- Where a change of some files is seen: the folders on the way to each, symbolic
-- links followed one by one, and the names in them that matter. A folder is
-- watched, and never a file: editors put a new file in the place of the old one.
local lfs = require "lfs"

local M = {}

local WINDOWS = package.config:sub(1, 1) == "\\"
local MOST_LINKS = 40

---@class pipehost.place
---@field names table<string, boolean> entries that matter
---@field any? boolean every entry does
---@field files? boolean some are files, whose writes matter too

---The form in which names are compared.
---@param name string
---@return string
function M.key(name)
  return WINDOWS and name:lower() or name
end

-- "C:/a/b" -> "C:", { "a", "b" }; "/a" -> "", { "a" }
local function split(path)
  local root, rest = "", path
  if WINDOWS then
    root, rest = path:match "^(%a:)(.*)$"
    if not root then
      root, rest = path:match "^([/\\][/\\][^/\\]+[/\\][^/\\]+)(.*)$"
    end
    root, rest = root or "", rest or path
  end
  local parts = {}
  for part in rest:gmatch(WINDOWS and "[^/\\]+" or "[^/]+") do
    parts[#parts + 1] = part
  end
  return root, parts
end

local function absolute(path)
  if path:find(WINDOWS and "^%a:" or "^/") or WINDOWS and path:find "^[/\\]" then
    return path
  end
  return lfs.currentdir() .. "/" .. path
end

local function place_in(places, folder)
  folder = folder:find "[^/]" and not folder:find "^%a:$" and folder or folder .. "/"
  places[folder] = places[folder] or { names = {} }
  return places[folder]
end

local function link_target(path)
  return not WINDOWS and lfs.symlinkattributes(path, "target") or nil
end

-- Walks to the path, and notes what it passes; gives the path without links.
local function walk(places, path)
  local root, parts = split(absolute(path))
  local at, links, i = root, 0, 1
  while parts[i] do
    local part = parts[i]
    if part == ".." then
      at = at:match "^(.*)/[^/]*$" or root
    elseif part ~= "." then
      local place = place_in(places, at)
      local target = links < MOST_LINKS and link_target(at .. "/" .. part)
      place.names[M.key(part)] = true
      if target then
        links = links + 1
        local _, inner = split(target)
        table.move(parts, i + 1, #parts, #inner + 1, inner)
        at, parts, i = target:find "^/" and "" or at, inner, 0
      else
        at = at .. "/" .. part
        place.files = place.files or not parts[i + 1]
      end
    end
    i = i + 1
  end
  return at
end

---Adds what there is to watch for a file, also for one that is not there.
---@param places table<string, pipehost.place> folder -> place
---@param path string
---@return string real its path without links, as `entry` gives it
function M.add_file(places, path)
  return M.key(walk(places, path))
end

---The path of a folder's entry.
---@param folder string
---@param name string
---@return string
function M.entry(folder, name)
  return M.key((folder:gsub("/$", "")) .. "/" .. name)
end

---Adds what there is to watch for the entries of a folder.
---@param places table<string, pipehost.place>
---@param path string
function M.add_folder(places, path)
  local real = walk(places, path)
  place_in(places, real).any = true
end

---Is a folder the entry of another, or below that?
---@param folder string
---@param parent string
---@param name string
---@return boolean
function M.is_below(folder, parent, name)
  local entry, key = M.entry(parent, name), M.key(folder)
  return key == entry or key:sub(1, #entry + 1) == entry .. "/"
end

return M
