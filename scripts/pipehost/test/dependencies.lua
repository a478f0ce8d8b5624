-- SPDX-License-Identifier: MIT
-- Which files the tests of this file depend on, for `pipehost test --watch`.
local lfs = require "lfs"

local M = {}

local added = {}

---@return table<string, string | false> what the file was made of
M.sources = function()
  return {}
end

---A file, such as a script or a program that a test starts; nothing for what is
---no file.
---@param path string
function M.add(path)
  if lfs.attributes(path, "mode") == "file" then
    added[path] = true
  end
end

---A script that another process runs: what lies beside it may belong to it.
---@param path string
function M.add_script(path)
  M.add(path)
  local folder = path:match "^(.*)[/\\][^/\\]*$" or "."
  for name in lfs.dir(folder) do
    if name:match "%.lua$" then
      M.add(folder .. "/" .. name)
    end
  end
end

---@return string[]
function M.list()
  local all, list = {}, {}
  for path in pairs(M.sources()) do
    all[path] = true
  end
  for path in pairs(added) do
    all[path] = true
  end
  for path in pairs(all) do
    list[#list + 1] = path
  end
  table.sort(list)
  return list
end

return M
