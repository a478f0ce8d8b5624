-- SPDX-License-Identifier: MIT
-- Folders and files that go with the test.
local context = require "pipehost.test.context"
local lfs = require "lfs"
local trees = require "pipehost.runner.trees"

local M = {}
local count = 0

---A new empty folder.
---@return string path
function M.tmpdir()
  local of = context.current()
  count = count + 1
  local path = ("%s/t%d"):format(context.settings.temporary, count)
  assert(lfs.mkdir(path))
  of:defer(function()
    trees.remove(path)
  end)
  return path
end

local function make_parents(folder, name)
  local at = 1
  while true do
    local slash = name:find("/", at, true)
    if not slash then
      return
    end
    lfs.mkdir(folder .. "/" .. name:sub(1, slash - 1))
    at = slash + 1
  end
end

local function check_name(name, text)
  if type(name) ~= "string" or type(text) ~= "string" then
    error("t.files: a table of names and texts, such as { [\"server.lua\"] = \"…\" }", 3)
  elseif name:match "^[/\\]" or name:match "%.%." or name:match "\\" or name:match "^%a:" then
    error(("t.files: '%s': a name below the folder, with / between its parts"):format(name), 3)
  end
end

---A new folder with these files in it.
---@param texts table<string, string> name -> text
---@return string path
function M.files(texts)
  for name, text in pairs(texts) do
    check_name(name, text)
  end
  local folder = M.tmpdir()
  for name, text in pairs(texts) do
    make_parents(folder, name)
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    assert(file:write(text))
  end
  return folder
end

return M
