-- SPDX-License-Identifier: MIT
-- The files that a script is made of, and the data files that it reads: each is
-- read whole, and kept as it was, so that a reload sees what has changed and a
-- rollback can do without the files.
-- The prelude runs this, before there is a `require`.
local core, options = ...

local M = {
  LARGEST = 4 << 20, -- bytes
  texts = {}, ---@type table<string, string | false> path -> text; false: it was not there
}

local BUSY_MS = 1000 -- for a writer to finish
local PAUSE_MS = 20
local snapshot = options.snapshot ---@type table<string, string | false>?

---The file as it is now.
---@param path string
---@return string? text
---@return string? code "absent" | "busy" | "toobig" | "denied" | "nomem" | "system"
---@return string? reason
function M.read_disk(path)
  local deadline
  while true do
    local text, code, reason = core.read_file(path, M.LARGEST)
    if code ~= "busy" then
      return text, code, reason
    end
    deadline = deadline or core.now() + BUSY_MS
    -- Not where the coroutine cannot wait, such as inside table.sort.
    if core.now() > deadline or not pcall(core.pause, PAUSE_MS) then
      return nil, code, reason
    end
  end
end

-- As it was when this generation was made for a rollback.
local function read_kept(path)
  local text = snapshot and snapshot[path]
  if text then
    return text
  elseif text == false then
    return nil, "absent", "there is no such file"
  end
  return M.read_disk(path)
end

-- While the script runs, what it was made of stays as it was; what is new is made
-- known to those who watch.
local function track(path, text, ...)
  if core.phase() ~= "running" then
    M.texts[path] = text or false
  elseif not M.texts[path] then
    local anew = M.texts[path] == nil or text ~= nil
    M.texts[path] = text or false
    if anew then
      core.tracked()
    end
  end
  return text, ...
end

---A file of the script's code.
---@param path string
---@return string? text
---@return string? code
---@return string? reason
function M.read(path)
  return track(path, read_kept(path))
end

local function is_absolute(path)
  return path:find "^[/\\]" or path:find "^%a:"
end

---The folder of a file, "." if there is none in its path.
---@param path string
---@return string
function M.folder_of(path)
  return path:match("^(.*)[/\\][^/\\]*$") or "."
end

---pipehost.readfile: a data file, whole. The script is reloaded when it changes.
---@param path string absolute, or seen from the script's folder
---@return string? text
---@return string? code
---@return table? info
function M.readfile(path)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    error("pipehost.readfile: takes the path of a file", 2)
  end
  local full = path
  if not is_absolute(path) then
    full = M.folder_of(options.script) .. "/" .. path
  end
  -- Once the script runs, it wants the data as it is.
  local read = core.phase() == "running" and M.read_disk or read_kept
  local text, code, reason = track(full, read(full))
  if not text then
    return core.failure(code, "readfile", nil, ("readfile %s: %s (%s)"):format(full, reason, code))
  end
  return text
end

return M
