-- SPDX-License-Identifier: MIT
-- The first code in every state: what scripts may use, how they find modules,
-- and the hooks by which the host runs them.
-- In: core (C functions), options (plain data from the command line).
-- Out: the table of hooks.
local core, options = ...

if not options.main and options.limits ~= false then
  core.limit(options.mode == "serve")
end

local raw_load, raw_error, open_file = load, error, io.open

-- Sources ---------------------------------------------------------------------

-- The compiler is not interrupted: 4 MiB take it about 200 ms.
local LARGEST_SOURCE = 4 << 20
local TOO_LARGE = "%s: the source is longer than %d bytes"

-- A UTF-8 BOM and a first line with # are skipped; line numbers stay.
local function load_source(text, chunk_name, env)
  if #text > LARGEST_SOURCE then
    return nil, TOO_LARGE:format(chunk_name:sub(2), LARGEST_SOURCE)
  end
  if text:sub(1, 3) == "\xEF\xBB\xBF" then
    text = text:sub(4)
  end
  text = text:gsub("^#[^\n]*", "", 1)
  return raw_load(text, chunk_name, "t", env or _G)
end

-- What a script is made of, path -> text, false for what was looked for and is
-- not there: a reload compares it with the files, a rollback starts from it.
local sources, snapshot = {}, options.snapshot

local function read_disk(path)
  local file, message = open_file(path, "rb")
  if not file then
    return nil, message
  end
  local text, read_message = file:read("a")
  file:close()
  if not text then
    return nil, path .. ": " .. tostring(read_message)
  end
  return text
end

local function read_file(path)
  local text, message
  if snapshot then
    text, message = snapshot[path] or nil, path .. ": is not in the snapshot"
  else
    text, message = read_disk(path)
  end
  sources[path] = text or false
  return text, message
end

local function load_file(path)
  local text, message = read_file(path)
  if not text then
    return nil, "cannot read " .. message
  end
  return load_source(text, "@" .. path)
end

-- Modules ---------------------------------------------------------------------

local loaded, preload = package.loaded, package.preload
preload["pipehost.core"] = function()
  return core
end

local function folder_of(path)
  return path:match("^(.*)[/\\][^/\\]*$") or "."
end

local folders = {}
if options.script then
  folders[1] = folder_of(options.script)
end
for _, folder in ipairs(options.paths or {}) do
  folders[#folders + 1] = folder
end

local function find_file(name, tried)
  local path = name:gsub("%.", "/")
  for _, folder in ipairs(folders) do
    for _, tail in ipairs { ".lua", "/init.lua" } do
      local candidate = folder .. "/" .. path .. tail
      local text = read_file(candidate)
      if text then
        return text, "@" .. candidate, candidate
      end
      tried[#tried + 1] = candidate
    end
  end
end

local function find_builtin(name)
  local path = name:gsub("%.", "/")
  for _, tail in ipairs { ".lua", "/init.lua" } do
    local file = path .. tail
    local text = core.library_source(file, options.library)
    if text then
      return text, "@" .. file, file
    end
  end
end

local function find(name)
  if preload[name] then
    return preload[name], ":preload:"
  end
  local tried = {}
  local text, chunk_name, where = find_file(name, tried)
  if not text then
    text, chunk_name, where = find_builtin(name)
  end
  if not text then
    raw_error(("module '%s' not found; looked for %s and in the built-in library"):format(
      name, table.concat(tried, ", ")), 3)
  end
  local chunk, message = load_source(text, chunk_name)
  if not chunk then
    raw_error(message, 0)
  end
  return chunk, where
end

local under_way = {}

-- Written in Lua so that a module's own code may wait.
function require(name)
  if type(name) ~= "string" then
    raw_error("require: a module's name is a string", 2)
  end
  if loaded[name] ~= nil then
    return loaded[name]
  end
  if under_way[name] then
    raw_error(("module '%s' requires itself, directly or through others"):format(name), 2)
  end
  local chunk, where = find(name)
  local finish <close> = setmetatable({}, {
    __close = function()
      under_way[name] = nil
    end,
  })
  under_way[name] = finish
  local value = chunk(name, where)
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], where
end

package.path, package.cpath = "", ""
package.loadlib, package.searchers, package.searchpath = nil, nil, nil

-- What scripts don't have --------------------------------------------------------

-- What a reader function gives, as one text.
local function read_all(reader)
  local parts, size = {}, 0
  for part in reader do
    if part == "" then
      break
    elseif type(part) ~= "string" then
      return nil, "reader function must return a string"
    end
    parts[#parts + 1], size = part, size + #part
    if size > LARGEST_SOURCE then
      break
    end
  end
  return table.concat(parts)
end

function load(chunk, name, _, ...)
  if type(chunk) == "function" then
    local ok, text, message = pcall(read_all, chunk)
    if not ok or not text then
      return nil, ok and message or text
    end
    chunk, name = text, name or "=(load)"
  end
  if type(chunk) == "string" and #chunk > LARGEST_SOURCE then
    return nil, TOO_LARGE:format("load", LARGEST_SOURCE)
  end
  if select("#", ...) > 0 then
    return raw_load(chunk, name, "t", (...))
  end
  return raw_load(chunk, name, "t")
end

function loadfile(path, _, ...)
  local text, message = read_file(path)
  if not text then
    return nil, "cannot read " .. message
  end
  return load_source(text, "@" .. path, ...)
end

function dofile(path)
  local chunk, message = loadfile(path)
  if not chunk then
    raw_error(message, 0)
  end
  return chunk()
end

string.dump, os.setlocale = nil, nil
loaded.lfs.chdir = nil
getmetatable("").__metatable = false

-- A wait inside a script's own coroutine suspends the task it belongs to.
local co_resume, co_close, create = core.co_resume, core.co_close, coroutine.create
coroutine.resume, coroutine.close = co_resume, co_close

local function wrapped(co, ok, ...)
  if ok then
    return ...
  end
  co_close(co)
  raw_error((...), 0)
end

function coroutine.wrap(fn)
  local co = create(fn)
  return function(...)
    return wrapped(co, co_resume(co, ...))
  end
end

-- assert(pipe.open(…)) raises the whole sentence.
local raw_assert, is_info = assert, core.is_info
function assert(value, ...)
  if value then
    return value, ...
  end
  local _, info = ...
  if is_info(info) then
    raw_error(tostring(info), 2)
  end
  return raw_assert(value, ...)
end

-- Hooks -----------------------------------------------------------------------

if options.main then
  return {
    main = function()
      core.commit()
      return require "pipehost.main"(options)
    end,
  }
end

function options.sources_read()
  return sources
end

return require "pipehost.script"(core, options, load_file)
