-- SPDX-License-Identifier: MIT
-- The control pipe: one message with a command, one with "ok" or "error" and a
-- text.
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"
local server = require "pipehost.server"

local M = {}

local PREFIX = "pipehost-ctl-"

local function seconds(ms)
  return ("%.0f s"):format(ms / 1000)
end

local function script_lines(script, lines)
  local remote = script.generation:start "status"
  local _, list = remote:wait(1000)
  lines[#lines + 1] = ("%s: generation %d, %s, %d KiB"):format(script.path, script.number,
    seconds(pipe.now() - script.since), script.generation:memory() // 1024)
  for _, entry in ipairs(list or {}) do
    lines[#lines + 1] = ("  server %s: %s, %s mode, connections %d, served %d"):format(entry.name,
      entry.state, entry.mode, entry.connections, entry.served)
  end
end

local function status(scripts, version)
  local counts = core.host.counts()
  local lines = {
    ("pipehost %s, process %d: pipes %d, operations %d"):format(version, core.host.pid(),
      counts.pipes, counts.operations),
  }
  for _, script in ipairs(scripts) do
    script_lines(script, lines)
  end
  return table.concat(lines, "\n")
end

---Listens for `pipehost ctl`.
---@return pipehost.server?
---@return string? message
function M.start(name, scripts, version)
  local handlers = {
    status = function()
      return status(scripts, version)
    end,
    stop = function()
      core.host.raise "stop"
      return "stopping"
    end,
  }
  local function answer(_, command)
    local handler = handlers[command]
    if not handler then
      return ("error\nunknown command '%s'"):format(command)
    end
    return "ok\n" .. handler()
  end
  local ok, result = pcall(server.declare, {
    name = name or PREFIX .. core.host.pid(), mode = "message", first = true, on_message = answer,
  })
  if not ok then
    return nil, result
  end
  return result
end

local function candidates()
  local found = {}
  for _, name in ipairs(core.list()) do
    found[name:match("^" .. PREFIX:gsub("%-", "%%-") .. "%d+$") or ""] = true
  end
  for _, id in ipairs(core.host.processes()) do
    local name = PREFIX .. id
    local ok, code = pipe.available(name, 0)
    found[(ok or code ~= "absent") and name or ""] = true
  end
  found[""] = nil
  local names = {}
  for name in pairs(found) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

---The control pipe to use: the one named, or the only one there is.
---@return string? name
---@return string? message
function M.find(name)
  if name then
    return name
  end
  local found = candidates()
  if #found == 1 then
    return found[1]
  elseif #found == 0 then
    return nil, "no pipehost is serving for this user (is PIPEHOST_DIR the same?)"
  end
  return nil, "several are serving; name one with --control: " .. table.concat(found, ", ")
end

return M
