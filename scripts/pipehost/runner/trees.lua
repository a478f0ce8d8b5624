-- SPDX-License-Identifier: MIT
-- Removing folders with all that is in them.
local lfs = require "lfs"

local M = {}

-- Links are removed, not followed.
local function kind_of(path)
  return lfs.symlinkattributes(path, "mode")
end

---Removes what it can; what is not there is no failure.
---@param path string
function M.remove(path)
  if kind_of(path) ~= "directory" then
    os.remove(path)
    return
  end
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then
      M.remove(path .. "/" .. name)
    end
  end
  lfs.rmdir(path)
end

return M
