-- SPDX-License-Identifier: MIT
-- The servers of a script in the script's life: bound at its commit, handed
-- over at a reload, stopped at its end. Each function takes the list of them.
local connection = require "pipehost.server.connection"
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local M = {}

local SAMPLES = 16 -- connections of a server on which migrate is tried
local NAMED = 6 -- that are named

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

---What is served, for the validation of the next generation: for each name some
---connections' states, to try migrate on. One that cannot be cloned is left out:
---its connection stays where it is.
function M.served(declared)
  local list = {}
  for _, server in ipairs(declared) do
    local states = {}
    for conn in server:connections() do
      if #states < SAMPLES and core.clone(conn.state) ~= nil then
        states[#states + 1] = conn.state
      end
    end
    list[server.key] = { states = states, version = server.options.state_version or 1 }
  end
  return list
end

---Could these take over what an earlier generation serves? Gives the sentence
---that says why not; raises where migrate fails.
---@param served table what its M.served gave
---@return string?
function M.validate(declared, served)
  for _, server in ipairs(declared) do
    local conflict = server:conflict()
    if conflict then
      return conflict
    end
    local before = served[server.key]
    for _, state in ipairs(before and server:may_adopt() and before.states or {}) do
      connection.migrated(server.options, state, before.version)
    end
  end
end

---Takes the names that are new. On a failure what was taken is given back, and
---the failure's sentence is returned.
---@return string?
function M.bind_new(declared)
  for _, server in ipairs(declared) do
    if server.state == "declared" and not core.service(server.key) then
      local ok, info = pcall(server.bind, server)
      if not ok or info then
        M.stop_all(declared, 0)
      end
      if not ok then
        error(server.place .. info, 0)
      elseif info then
        return server.place .. tostring(info)
      end
    end
  end
end

---Takes over what an earlier generation serves, in one turn.
function M.take_over(declared)
  for _, server in ipairs(declared) do
    if server.state == "declared" then
      server:adopt()
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

---Some of the connections that this generation still has.
---@return { server: string, id: integer, pid?: integer }[]
function M.holders(declared)
  local list = {}
  for _, server in ipairs(declared) do
    for conn in server:connections() do
      if #list < NAMED then
        local ok, peer = pcall(conn.peer, conn)
        list[#list + 1] = { server = server.name, id = conn.id, pid = ok and peer and peer.pid or nil }
      end
    end
  end
  return list
end

---Cuts the connections that this generation still has.
function M.evict(declared)
  local cut = 0
  for _, server in ipairs(declared) do
    cut = cut + (server.core and server.core:cut "evicted" or 0)
  end
  return cut
end

return M
