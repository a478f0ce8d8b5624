-- SPDX-License-Identifier: MIT
-- What `ctl status` and `ctl generations` tell: as data, and as text.
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"

local M = {}

local COUNTS_MS = 2000 -- for the other workers to tell theirs

-- A state that is being changed may take its time to answer.
local function servers_of(generation)
  local list = generation and generation:status() or {}
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

local function seconds(generation)
  return (pipe.now() - generation.since) / 1000
end

local function without_trace(text)
  return text and (text:gsub("\nstack traceback:.*$", ""))
end

-- Of all workers. A client at another worker has a pipe there and its place at
-- the first one: that is one pipe.
local function all_counts(crew)
  local counts = core.host.counts()
  for _, answer in pairs(crew and crew:all(COUNTS_MS, "counts") or {}) do
    local there = answer[1] and answer[2]
    if there then
      counts.pipes = counts.pipes + there.pipes - there.clients
      counts.operations = counts.operations + there.operations
      counts.timers = counts.timers + there.timers
    end
  end
  return counts
end

---@param scripts pipehost.supervised[]
---@param version string
---@param crew? pipehost.crew
---@return table
function M.status(scripts, version, crew)
  local counts = all_counts(crew)
  local data = {
    version = version, process = core.host.pid(), workers = crew and crew.count or 1,
    pipes = counts.pipes, operations = counts.operations,
    timers = counts.timers, shared = counts.shared, scripts = {},
  }
  for i, script in ipairs(scripts) do
    local current = script.current
    data.scripts[i] = {
      script = script.path, running = current ~= nil, generation = script.number,
      seconds = current and seconds(current), memory = current and current:memory(),
      draining = #script.draining, failures = script.failures,
      last_error = without_trace(script.last_error), servers = servers_of(current),
    }
  end
  return data
end

---For programs: the process, then a line for each pipe that it serves.
---@param data table of M.status
---@return string
function M.pipes_text(data)
  local lines = { tostring(data.process) }
  for _, script in ipairs(data.scripts) do
    for _, served in ipairs(script.servers) do
      lines[#lines + 1] = ("%s\t%s\t%d\t%s\t%d\t%s"):format(served.name, served.mode, served.connections,
        served.max_instances or "", script.generation, script.script)
    end
  end
  return table.concat(lines, "\n")
end

local function indented(text)
  return (text:gsub("\n", "\n  "))
end

local function script_lines(script, lines)
  local add = function(format, ...)
    lines[#lines + 1] = format:format(...)
  end
  if script.running then
    add("%s: generation %d, %.0f s, %d KiB%s", script.script, script.generation, script.seconds,
      script.memory // 1024, script.draining > 0 and (", %d older with clients"):format(script.draining) or "")
  else
    add("%s: not running", script.script)
  end
  if script.last_error then
    lines[#lines + 1] = "  reload failed: " .. indented(script.last_error)
  end
  for _, server in ipairs(script.servers) do
    add("  server %s: %s, %s mode, connections %d%s, served %d", server.name, server.state, server.mode,
      server.connections, server.workers and (" (%s)"):format(table.concat(server.workers, " + ")) or "", server.served)
  end
end

---@param data table what M.status gave
---@return string
function M.status_text(data)
  local lines = {
    ("pipehost %s, process %d: pipes %d, operations %d, shared %d KiB"):format(data.version, data.process,
      data.pipes, data.operations, data.shared // 1024),
  }
  for _, script in ipairs(data.scripts) do
    script_lines(script, lines)
  end
  return table.concat(lines, "\n")
end

---@param scripts pipehost.supervised[]
---@return table
function M.generations(scripts)
  local list = {}
  for _, script in ipairs(scripts) do
    for _, alive in ipairs(script:alive()) do
      list[#list + 1] = {
        script = script.path, generation = alive.number, active = alive == script.current,
        seconds = seconds(alive), clients = alive:clients(), memory = alive:memory(),
      }
    end
  end
  return { generations = list }
end

---@param data table what M.generations gave
---@return string
function M.generations_text(data)
  local lines = {}
  for i, alive in ipairs(data.generations) do
    lines[i] = ("%s: generation %d, %s, %.0f s, clients %d, %d KiB"):format(alive.script, alive.generation,
      alive.active and "active" or "draining", alive.seconds, alive.clients, alive.memory // 1024)
  end
  return table.concat(lines, "\n")
end

return M
