-- SPDX-License-Identifier: MIT
-- The servers of a script in the script's life: bound at its commit, handed
-- over at a reload, stopped at its end. Each function takes the list of them.
local binding = require "pipehost.server.binding"
local connection = require "pipehost.server.connection"
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local M = {}

local SAMPLES = 16 -- connections of a server on which migrate is tried
local NAMED = 6 -- that are named
local NAME_MS = 2000 -- for a name to be free: its last holder's end takes the system some time

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
    list[server.key] = {
      states = states, version = server.options.state_version or 1, settings = binding.settings(server),
    }
  end
  return list
end

-- nil, or why this server cannot have the name; and whether it is taken anew.
local function conflict(server, before)
  local difference = before and binding.difference(server, before.settings)
  if not difference then
    return nil, false
  end
  local clients = core.service(server.key) or 0
  if clients == 0 or server.options.on_reload == "close" then
    return nil, true
  end
  return ("%spipehost.server %s: %s, while %d client%s connected; it waits for their end, or takes "
    .. "on_reload = \"close\""):format(server.place, server.name, difference, clients,
      clients == 1 and " is" or "s are"), false
end

---Could these take over what an earlier generation serves? Raises where migrate
---fails.
---@param served table what its M.served gave
---@return string? why not
---@return string[]? anew the keys of names that are to be given up and taken anew
function M.validate(declared, served)
  local list = {}
  for _, server in ipairs(declared) do
    local before = served[server.key]
    local why, anew = conflict(server, before)
    if why then
      return why
    elseif anew then
      list[#list + 1] = server.key
    end
    for _, state in ipairs(before and server:may_adopt() and before.states or {}) do
      connection.migrated(server.options, state, before.version)
    end
  end
  return nil, list
end

local function prepare(server)
  local ok, info = pcall(binding.prepare, server, NAME_MS)
  if not ok then
    error(server.place .. info, 0)
  end
  return info and server.place .. tostring(info)
end

---Takes the names that are new, and finds the others; nobody is served yet. Once
---more for those that were left out.
---@param left_out string[] keys
---@return string? why it failed
function M.prepare(declared, left_out)
  local later = {}
  for _, key in ipairs(left_out) do
    later[key] = true
  end
  for _, server in ipairs(declared) do
    local failed = not server.core and not later[server.key] and prepare(server)
    if failed then
      return failed
    end
  end
end

---Would `begin` find what it is to take over?
---@return string? why not
function M.ready(declared)
  for _, server in ipairs(declared) do
    if server.core and not binding.ready(server) then
      return ("%sserver %s: the earlier generation has stopped it meanwhile"):format(server.place, server.name)
    end
  end
end

---Serves: all names, or none, in one turn; and the script runs.
---@return string? why not
function M.begin(declared)
  local failed = M.ready(declared)
  if failed then
    return failed
  end
  local here = {}
  for _, server in ipairs(declared) do
    if server.core then
      here[#here + 1] = server
    end
  end
  binding.begin(here)
end

---reload: gives these names up for the next generation.
---@param keys string[]
---@param ms number for their clients
function M.give_up(declared, keys, ms)
  local wanted = {}
  for _, key in ipairs(keys) do
    wanted[key] = true
  end
  for _, server in ipairs(declared) do
    if wanted[server.key] and server.state == "running" then
      binding.give_up(server, ms)
    end
  end
end

---reload: the next generation has failed.
function M.restore(declared)
  for _, server in ipairs(declared) do
    local info = binding.restore(server, NAME_MS)
    if info then
      log.error(("server %s: could not be restored: %s"):format(server.name, tostring(info)))
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
    elseif server.state == "running" or server.state == "given up" then
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
