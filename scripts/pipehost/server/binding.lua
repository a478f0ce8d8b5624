-- SPDX-License-Identifier: MIT
-- How a server gets its name: it takes one that is free, comes after an earlier
-- generation, or takes that one's name anew where its settings change.
local core = require "pipehost.core"
local log = require "pipehost.log"
local server_options = require "pipehost.server.options"

local M = {}

local CUT_MS = 1000 -- for handlers to end after their client was cut

local function create_options(server, timeout)
  local options = {}
  for _, name in ipairs(server_options.create_names) do
    options[name] = server.options[name]
  end
  options.timeout = timeout
  -- Two scripts of one host must not share a name unknowingly.
  options.first = options.first ~= false
  return options
end

-- Has the limits hold for the name that the script serves already.
local function adjust(server)
  if core.worker > 1 then
    return nil
  end
  local _, _, info = core.adjust(server.key, create_options(server))
  return info
end

---Takes the server's name, or finds that an earlier generation has it: all that
---can fail. Raises for wrong options.
---@param server pipehost.server
---@param timeout? number ms to wait for the name
---@return table? info of a failure
function M.prepare(server, timeout)
  if core.worker > 1 then
    -- The first worker has the names; here are the handlers of those that are spread.
    if server:is_spread() then
      server.core = core.server(server:core_options())
    else
      server.state = "elsewhere"
    end
    return
  end
  if core.service(server.key) then
    local info = adjust(server)
    server.core = info == nil and core.server(server:core_options()) or false
    return info
  end
  local instance, _, info = core.create_served(server.name, create_options(server, timeout))
  if not instance then
    return info
  end
  server.path = instance:info().path
  server.core = core.server(server:core_options(), instance)
end

---Would begin succeed?
---@param server pipehost.server
---@return boolean
function M.ready(server)
  return server.core:ready(server.key)
end

---All of them serve, after prepare, or none.
---@param servers pipehost.server[]
function M.begin(servers)
  local list = {}
  for _, server in ipairs(servers) do
    list[#list + 1] = server.core
    list[#list + 1] = server.key
    server.state = "running"
  end
  core.begin(list)
  for _, server in ipairs(servers) do
    if server.path then
      log.info(("server %s: listening on %s"):format(server.name, server.path))
    end
  end
end

-- Other settings ----------------------------------------------------------------

---What a later generation cannot change while clients are connected.
---@param server pipehost.server
---@return table<string, string>
function M.settings(server)
  local options = server.options
  local access = options.access or "me"
  if type(access) == "table" then
    local uids = table.move(access, 1, #access, 1, {})
    table.sort(uids)
    access = "uids " .. table.concat(uids, ", ")
  end
  return { mode = options.mode or "message", direction = options.direction or "duplex", access = access }
end

---Which of an earlier generation's settings differ, for people; nil: none.
---@param server pipehost.server
---@param old table<string, string>
---@return string?
function M.difference(server, old)
  local parts, new = {}, M.settings(server)
  for _, what in ipairs { "mode", "direction", "access" } do
    if new[what] ~= old[what] then
      parts[#parts + 1] = ("%s changes from %s to %s"):format(what, old[what], new[what])
    end
  end
  return parts[1] and table.concat(parts, ", ")
end

---Gives the name back, so that it can be taken anew. Its clients end at their safe
---points, in whatever generation; after `ms` they are cut.
---@param server pipehost.server
---@param ms number
function M.give_up(server, ms)
  server.state = "given up"
  server.core:refuse()
  server.core:finish("reload", true)
  if not server.core:wait_empty(ms) then
    server.core:cut("reload", true)
    server.core:wait_empty(CUT_MS)
  end
end

---The next generation has failed: what it has changed already is as before.
---@param server pipehost.server
---@param ms number to wait for the name
---@return table? info of a failure
function M.restore(server, ms)
  if server.state == "running" then
    return adjust(server)
  elseif server.state == "given up" and core.worker > 1 then
    server.core:resume()
    server.state = "running"
  elseif server.state == "given up" then
    local instance, _, info = core.create_served(server.name, create_options(server, ms))
    if not instance then
      return info
    end
    server.core:resume(instance)
    server.state = "running"
  end
end

return M
