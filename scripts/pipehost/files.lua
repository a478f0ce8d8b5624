-- SPDX-License-Identifier: MIT
-- The files of scripts, compared with what they were: path -> text, or false
-- for one that is not there.
local sources = require "pipehost.sources"

local M = {}

---The file's text now; false: there is none that could be read.
---@param path string
---@return string | false
function M.read(path)
  return sources.read_disk(path) or false
end

---Makes the file, or all of it anew.
---@param path string
---@param text string
---@return boolean?
---@return string? message
function M.write(path, text)
  local file, message = io.open(path, "wb")
  if not file then
    return nil, message
  end
  local ok, why = file:write(text)
  local closed, late = file:close()
  return ok and closed, why or late
end

---@param before table<string, string | false>
---@return table<string, string | false> now
---@return string[] changed the paths of those that differ, in order
function M.compare(before)
  local paths, now, changed = {}, {}, {}
  for path in pairs(before) do
    paths[#paths + 1] = path -- a read may wait, and `before` change meanwhile
  end
  table.sort(paths)
  for _, path in ipairs(paths) do
    now[path] = M.read(path)
    if now[path] ~= before[path] then
      changed[#changed + 1] = path
    end
  end
  return now, changed
end

---Lets equal texts of two generations be one string.
---@param texts table<string, string | false>
---@param others? table<string, string | false>
function M.share(texts, others)
  for path, text in pairs(others or {}) do
    if texts[path] == text then
      texts[path] = text
    end
  end
end

return M
