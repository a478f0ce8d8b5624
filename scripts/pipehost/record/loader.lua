-- SPDX-License-Identifier: MIT
-- Loads the file of --protocol into the state of the command line. What it requires
-- is looked for in its folder.
local protocols = require "pipehost.record.protocol"

local M = {}

---@param path string
---@param folders string[] where require looks before the built-in library
---@return pipehost.record.protocol?
---@return string? message
function M.load(path, folders)
  local chunk, message = loadfile(path)
  if not chunk then
    return nil, message
  end
  table.insert(folders, path:match "^(.*)[/\\][^/\\]*$" or ".")
  local ok, result = xpcall(function()
    return protocols.of(chunk(), path)
  end, debug.traceback)
  table.remove(folders)
  if not ok then
    return nil, result
  end
  return result
end

return M
