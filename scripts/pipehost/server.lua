-- SPDX-License-Identifier: MIT
-- pipehost.server: handlers on a pipe. One handler at a time for each client,
-- clients side by side; a handler's failure ends its own client alone.
local Server = require "pipehost.server.object"
local binding = require "pipehost.server.binding"
local core = require "pipehost.core"
local life = require "pipehost.server.life"
local server_options = require "pipehost.server.options"

local declared = {}

---Declares a server. Under `serve` it is bound when all of the script is
---loaded, under `run` at once.
---@param options table see docs/reference
---@return pipehost.server
local function declare(options)
  server_options.check(options)
  local self = Server.new(options)
  for _, other in ipairs(declared) do
    if other.key == self.key and other.state ~= "stopped" then
      error(("pipehost.server: this script declares '%s' twice"):format(self.name), 2)
    end
  end
  declared[#declared + 1] = self
  if core.phase() == "running" then
    local info = binding.prepare(self)
    if info then
      error(tostring(info), 2)
    end
    binding.begin { self }
  end
  return self
end

local M = { declare = declare }

-- What the hooks of a script call (script.lua).
for name, fn in pairs(life) do
  M[name] = function(...)
    return fn(declared, ...)
  end
end

function M.declared()
  return #declared > 0
end

---Is one of them spread over the workers?
---@return boolean
function M.spread()
  for _, server in ipairs(declared) do
    if server:is_spread() then
      return true
    end
  end
  return false
end

function M.status()
  local list = {}
  for i, server in ipairs(declared) do
    list[i] = server:status()
  end
  return list
end

---For tests: how many there are …
---@return integer
function M.mark()
  return #declared
end

---… and the end of those declared since then.
---@param mark integer
function M.forget(mark)
  local later = table.move(declared, mark + 1, #declared, 1, {})
  life.stop_all(later, 0)
  for i = #declared, mark + 1, -1 do
    declared[i] = nil
  end
end

return M
