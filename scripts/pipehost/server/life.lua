-- SPDX-License-Identifier: MIT
-- The servers of a script in the script's life: bound at its commit, handed
-- over at a reload, stopped at its end. Each function takes the list of them.
local connection = require "pipehost.server.connection"
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local M = {}

---Stops all of them; gives the number of clients that were cut.
function M.stop_all(declared, ms)
  local deadline = pipe.now() + ms
  local cut, running = 0, {}
  for _, server in ipairs(declared) do
    if server.state == "running" or server.state == "retired" then
      running[#running + 1] = server
      server:refuse_new()
    end
  end
  for _, server in ipairs(running) do
    cut = cut + server:finish_clients(deadline)
  end
  return cut
end

local function bind_new(declared)
  for _, server in ipairs(declared) do
    local new = server.state == "declared" and not core.service(server.key)
    local info = new and server:bind()
    if info then
      return tostring(info)
    end
  end
end

---Binds what is declared and new, then takes over what an earlier generation
---serves, all in one turn. On a failure what was bound is stopped again, nothing
---was taken over, and the failure's sentence is returned.
function M.bind_all(declared)
  for _, server in ipairs(declared) do
    local conflict = server:conflict()
    if conflict then
      return conflict
    end
  end
  local failed = bind_new(declared)
  if failed then
    M.stop_all(declared, 0)
    return failed
  end
  for _, server in ipairs(declared) do
    if server.state == "declared" then
      server:adopt()
    end
  end
end

---One connection's state for each server that has some, to try migrate on.
function M.samples(declared)
  local list = {}
  for _, server in ipairs(declared) do
    for conn in server:connections() do
      list[server.key] = { state = conn.state, version = server.options.state_version or 1 }
      break
    end
  end
  return list
end

---Tries migrate on another generation's samples; raises where it fails.
function M.try_migrate(declared, list)
  for _, server in ipairs(declared) do
    local sample = list[server.key]
    if sample and server.options.on_message and (server.options.on_reload or "handover") == "handover" then
      connection.migrated(server.options, sample.state, sample.version)
    end
  end
end

---A later generation has taken over: the names that it does not declare are
---given back, their clients served to the end, at most `ms`.
function M.retire(declared, ms)
  local deadline, removed = pipe.now() + ms, {}
  for _, server in ipairs(declared) do
    if server.state == "running" and server.core:current() then
      log.info(("server %s: is declared no more"):format(server.name))
      server:refuse_new()
      removed[#removed + 1] = server
    elseif server.state == "running" then
      server.state = "retired"
      server.stopped:set()
    end
  end
  for _, server in ipairs(removed) do
    server:finish_clients(deadline)
  end
end

---Cuts the connections that this generation still has.
function M.evict(declared)
  local cut = 0
  for _, server in ipairs(declared) do
    cut = cut + (server.state == "retired" and server.core:cut "evicted" or 0)
  end
  return cut
end

return M
