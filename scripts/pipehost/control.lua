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

local function server_lines(generation, lines)
  local remote = generation:start "status"
  local _, list = remote:wait(1000)
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
    local current = script.current
    lines[#lines + 1] = ("%s: generation %d, %s, %d KiB%s"):format(script.path, current.number,
      seconds(pipe.now() - current.since), current.generation:memory() // 1024,
      #script.draining > 0 and (", %d older with clients"):format(#script.draining) or "")
    if script.last_error then
      lines[#lines + 1] = "  reload failed: " .. script.last_error:gsub("\nstack traceback:.*$", "")
    end
    server_lines(current.generation, lines)
  end
  return table.concat(lines, "\n")
end

local function generations(scripts)
  local lines = {}
  for _, script in ipairs(scripts) do
    for i, alive in ipairs(script:alive()) do
      lines[#lines + 1] = ("%s: generation %d, %s, %s, clients %d, %d KiB"):format(script.path, alive.number,
        i == 1 and "active" or "draining", seconds(pipe.now() - alive.since), alive.generation:clients(),
        alive.generation:memory() // 1024)
    end
  end
  return table.concat(lines, "\n")
end

-- The scripts that a command is for: all, or the one named by path or file name.
local function chosen(scripts, name)
  if not name then
    return scripts
  end
  for _, script in ipairs(scripts) do
    if script.path == name or script.path:match("[^/\\]+$") == name then
      return { script }
    end
  end
  return nil, ("no script '%s' is served"):format(name)
end

local function each_script(scripts, name, act)
  local list, message = chosen(scripts, name)
  if not list then
    return nil, message
  end
  local lines, failed = {}, false
  for _, script in ipairs(list) do
    local text, why = act(script)
    failed = failed or not text
    lines[#lines + 1] = text or why
  end
  local text = table.concat(lines, "\n")
  return not failed and text or nil, text
end

---Listens for `pipehost ctl`.
---@return pipehost.server?
---@return string? message
function M.start(name, scripts, version)
  local handlers = {}

  function handlers.status()
    return status(scripts, version)
  end

  function handlers.generations()
    return generations(scripts)
  end

  function handlers.stop()
    core.host.raise "stop"
    return "stopping"
  end

  function handlers.reload(script_name, flag)
    return each_script(scripts, script_name, function(script)
      return script:reload { evict = flag == "evict" }
    end)
  end

  function handlers.rollback(script_name, number)
    return each_script(scripts, script_name, function(script)
      return script:rollback(math.tointeger(tonumber(number)))
    end)
  end

  -- A command is its name, and arguments on lines of their own; an empty line
  -- is an argument that was not given.
  local function answer(_, message)
    local words = {}
    for word in (message .. "\n"):gmatch("(.-)\n") do
      words[#words + 1] = word ~= "" and word or false
    end
    local handler = handlers[words[1]]
    if not handler then
      return ("error\nunknown command '%s'"):format(words[1])
    end
    local text, why = handler(words[2] or nil, words[3] or nil)
    return text and "ok\n" .. text or "error\n" .. why
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
