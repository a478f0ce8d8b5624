-- SPDX-License-Identifier: MIT
-- Which test files there are.
local lfs = require "lfs"

local M = {}

local function add(files, path, named)
  local mode = lfs.attributes(path, "mode")
  if mode == "directory" then
    for name in lfs.dir(path) do
      if name:sub(1, 1) ~= "." then
        add(files, path .. "/" .. name, false)
      end
    end
  elseif named or path:match "_test%.lua$" then
    files[#files + 1] = path
  end
end

---The files of the arguments, in order: a file as it is, of a folder all
---*_test.lua in it and below.
---@param arguments string[]
---@return string[]? nil where an argument is not there
---@return string? message
function M.find(arguments)
  local files = {}
  for _, path in ipairs(arguments) do
    -- Windows knows no folder with a separator at its end.
    path = path:gsub("([^:/\\])[/\\]+$", "%1")
    if not lfs.attributes(path, "mode") then
      return nil, ("%s: there is no such file or folder"):format(path)
    end
    local found = {}
    add(found, path, true)
    table.sort(found)
    table.move(found, 1, #found, #files + 1, files)
  end
  return files
end

return M
