-- SPDX-License-Identifier: MIT
-- pipehost.log.debug | info | warn | error (message [, fields]). A message that
-- costs something to make is given as a function that returns it (and fields): it
-- is called only when such lines are written.
local core = require "pipehost.core"

local function flatten(fields)
  local keys, list = {}, {}
  for key in pairs(fields) do
    keys[#keys + 1] = tostring(key)
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    list[#list + 1] = key
    list[#list + 1] = tostring(fields[key])
  end
  return list
end

local function level(name)
  return core.logger(name, function(message, fields)
    if type(message) == "function" then
      message, fields = message()
    end
    core.log(name, tostring(message), fields and flatten(fields))
  end)
end

local M = { debug = level "debug", info = level "info", warn = level "warn", error = level "error" }

return setmetatable(M, { __index = core.index(M, "pipehost.log") })
