-- SPDX-License-Identifier: MIT
-- The first code in every state: what scripts may use, how they find modules,
-- and the hooks by which the host runs them.
-- In: core (C functions), options (plain data from the command line).
-- Out: the table of hooks.
local core, options = ...

if not options.main and options.limits ~= false then
  core.limit(options.mode == "serve")
end

local compile, raw_error = core.load, error

-- Sources ---------------------------------------------------------------------

local sources = core.library_load("pipehost/sources.lua", options.library)(core, options)

-- Others wait while one is compiled: up to 15 ms, of what people write.
local LARGEST_SOURCE = 1 << 20
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
  return compile(text, chunk_name, env or _G)
end

local function load_file(path, env)
  local text, code, reason = sources.read(path)
  if text then
    return load_source(text, "@" .. path, env)
  elseif code == "toobig" then
    return nil, TOO_LARGE:format(path, LARGEST_SOURCE)
  end
  return nil, ("cannot read %s: %s"):format(path, reason)
end

-- Modules ---------------------------------------------------------------------

local loaded, preload = package.loaded, package.preload
preload["pipehost.core"] = function()
  return core
end
preload["pipehost.sources"] = function()
  return sources
end

local folders = {}
if options.script then
  folders[1] = sources.folder_of(options.script)
end
for _, folder in ipairs(options.paths or {}) do
  folders[#folders + 1] = folder
end

-- The chunk of a module's file. One that is there but cannot be read or compiled
-- ends the search: the next of that name would be another module.
local function find_file(name, tried, place)
  local path = name:gsub("%.", "/")
  for _, folder in ipairs(folders) do
    for _, tail in ipairs { ".lua", "/init.lua" } do
      local candidate = folder .. "/" .. path .. tail
      local text, code, reason = sources.read(candidate)
      if text then
        return candidate, load_source(text, "@" .. candidate)
      elseif code == "toobig" then
        raw_error(TOO_LARGE:format(candidate, LARGEST_SOURCE), 0)
      elseif code ~= "absent" then
        raw_error(("%s: module '%s': cannot read %s: %s"):format(place, name, candidate, reason), 0)
      end
      tried[#tried + 1] = candidate
    end
  end
end

local function find_builtin(name)
  local path = name:gsub("%.", "/")
  for _, tail in ipairs { ".lua", "/init.lua" } do
    local file = path .. tail
    local chunk = core.library_load(file, options.library)
    if chunk then
      return file, chunk
    end
  end
end

-- The chunk, and where it comes from; `place` is that of the `require`.
local function find(name, place)
  if preload[name] then
    return preload[name], ":preload:"
  end
  local tried = {}
  local where, chunk, message = find_file(name, tried, place)
  if not where then
    where, chunk, message = find_builtin(name)
  end
  if not where then
    raw_error(("%s: module '%s' not found; looked for %s and in the built-in library"):format(
      place, name, table.concat(tried, ", ")), 0)
  elseif not chunk then
    raw_error(message, 0)
  end
  return chunk, where
end

local getinfo = debug.getinfo

-- Files whose code is being run for the first time, the innermost last.
local under_way, running = {}, { options.script }

-- The place that calls `require`. A tail call leaves none: its file, then.
local function place_of_require()
  if getinfo(2, "t").istailcall then
    return running[#running] or "require"
  end
  for level = 3, 20 do
    local at = getinfo(level, "Sl")
    if not at then
      break
    elseif at.currentline > 0 and at.source:sub(1, 10) ~= "@pipehost/" then
      return (at.source:match "^@(.*)$" or at.short_src) .. ":" .. at.currentline
    end
  end
  return running[#running] or "require"
end

-- The last error that left a module's code, and the places it was required
-- from, the innermost first.
local failure

local function note_failure(message, place)
  if type(message) ~= "string" then
    failure = nil
  elseif failure and failure.message == message then
    table.insert(failure.places, place)
  else
    failure = { message = message, places = { place } }
  end
end

-- Closed when the module's code has ended, in whatever way.
local ends = {
  __close = function(self, message)
    under_way[self.name] = nil
    if self.level then
      table.remove(running, self.level)
    end
    if message ~= nil then
      note_failure(message, self.place)
    end
  end,
}

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
  local finish <close> = setmetatable({ name = name, place = place_of_require() }, ends)
  under_way[name] = finish
  local chunk, where = find(name, finish.place)
  finish.level = #running + 1
  running[finish.level] = where
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
  if type(chunk) ~= "string" then
    raw_error(("load: takes a string or a function, this is a %s"):format(type(chunk)), 2)
  elseif #chunk > LARGEST_SOURCE then
    return nil, TOO_LARGE:format("load", LARGEST_SOURCE)
  end
  if select("#", ...) > 0 then
    return compile(chunk, name, (...))
  end
  return compile(chunk, name)
end

function loadfile(path, _, ...)
  return load_file(path, ...)
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
      options.folders = folders
      return require(options.agent and "pipehost.worker.agent" or "pipehost.main")(options)
    end,
  }
end

-- For reloads and errors: what the script is made of, and the last failure of a
-- `require`.
function options.sources_read()
  return sources.texts, failure
end

if options.names then
  require "pipehost.rename"(core, options.names)
end
if options.mode == "test" then
  require("pipehost.test.leaks").watch(options.script)
end

return require "pipehost.script"(core, options, load_file)
