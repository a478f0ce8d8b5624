-- SPDX-License-Identifier: MIT
-- `pipehost init NAME`: a server, a client and their test to begin with, and what
-- an editor needs to know the API.
local common = require "pipehost.command.common"
local core = require "pipehost.core"
local files = require "pipehost.files"
local lfs = require "lfs"

local M = {}

local DEFINITIONS = "pipehost/meta/"
local EDITOR_FOLDER = ".pipehost"

local EDITOR = [[
{
  "runtime": { "version": "Lua 5.4" },
  "workspace": { "library": [".pipehost"], "checkThirdParty": false }
}
]]

local README = [[
# @NAME@

    pipehost serve server.lua --watch   serve; save a change, and the next message is answered by the new code
    pipehost run client.lua ann bob     talk to it, from another terminal
    pipehost test .                     run the tests

`.luarc.json` and `.pipehost/` tell editors with a Lua language server about the API. They were written by
`pipehost init`; after an update of pipehost, remove `.pipehost/` and run it again. It leaves alone what is there.
]]

local NEXT = [[

Next:
  pipehost serve @DIR@ --watch
  pipehost run @DIR@/client.lua ann bob
  pipehost test @DIR@]]

function M.options(parser)
  local command = parser:command("init", "Make a folder with a server, a client and their test to begin with.")
  command:argument("name", "Name of the pipe.")
  command:option("--dir", "The folder (default: NAME)."):argname("DIR")
end

-- Lists of a path below the folder and its text.
local function files_of(name)
  local function template(file)
    return (core.library_text("pipehost/template/" .. file):gsub("@NAME@", name))
  end
  return {
    { "server.lua", template "server.lua" },
    { "client.lua", template "client.lua" },
    { "server_test.lua", template "test.lua" },
    { "README.md", (README:gsub("@NAME@", name)) },
    { ".luarc.json", EDITOR },
  }
end

local function definitions()
  local files = {}
  for _, file in ipairs(core.library_names()) do
    if file:sub(1, #DEFINITIONS) == DEFINITIONS then
      files[#files + 1] = { EDITOR_FOLDER .. "/" .. file:sub(#DEFINITIONS + 1), core.library_text(file) }
    end
  end
  return files
end

local function make_folder(path)
  if lfs.attributes(path, "mode") == "directory" then
    return true
  end
  local above = path:match "^(.+)[/\\][^/\\]+[/\\]*$"
  if above and not above:match "^%a:$" then
    local ok, message = make_folder(above)
    if not ok then
      return nil, message
    end
  end
  local ok, message = lfs.mkdir(path)
  return ok, ("%s: %s"):format(path, message)
end

-- Gives "made" or "kept".
local function make_file(path, text)
  if lfs.symlinkattributes(path, "mode") then
    return "kept"
  end
  local ok, why = files.write(path, text)
  return ok and "made", why
end

local function make_all(folder, files, quiet)
  for _, file in ipairs(files) do
    local path = folder .. "/" .. file[1]
    local done, message = make_file(path, file[2])
    if not done then
      return nil, message
    elseif not quiet then
      print(done .. " " .. path)
    end
  end
  return true
end

local function make(folder, name)
  for _, path in ipairs { folder, folder .. "/" .. EDITOR_FOLDER } do
    local ok, message = make_folder(path)
    if not ok then
      return nil, message
    end
  end
  local ok, message = make_all(folder, files_of(name))
  if ok then
    ok, message = make_all(folder, definitions(), true)
  end
  return ok, message
end

function M.main(args)
  local name = args.name
  -- It becomes text in Lua, and the name of a pipe and of a folder.
  if not name:match "^[%w_][%w_-]*$" or #name > 100 then
    common.complain(("init %s: a name has letters, digits, _ and -, 100 at most"):format(name))
    return common.USAGE
  end
  local folder = (args.dir or name):gsub("([^:/\\])[/\\]+$", "%1")
  local ok, message = make(folder, name)
  if not ok then
    common.complain(message)
    return common.FAILED
  end
  print((NEXT:gsub("@DIR@", (folder:gsub("%%", "%%%%")))))
  return common.OK
end

return M
