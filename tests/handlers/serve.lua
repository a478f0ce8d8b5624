-- SPDX-License-Identifier: MIT
-- A server of a fresh name, whose ends of connections are gathered.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local M = {}

---@param options table as for pipehost.server; name and on_close are set here
---@return pipehost.server
---@return fun(count?: integer): string reasons waits for so many (1), sorted, with a space between
function M.serve(options)
  local reasons = {}
  options.name = t.name()
  function options.on_close(_, reason)
    reasons[#reasons + 1] = reason
  end
  local server = pipehost.server(options)
  return server, function(count)
    t.eventually(function()
      return #reasons >= (count or 1)
    end, 10000)
    table.sort(reasons)
    return table.concat(reasons, " ")
  end
end

---A client of it.
function M.open(server, options)
  options = options or {}
  options.wait, options.timeout = "free", options.timeout or 10000
  return assert(pipe.open(server.name, options))
end

return M
