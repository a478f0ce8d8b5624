-- SPDX-License-Identifier: MIT
-- Pipes under other names than a script says, at the one place where every name
-- goes to the host. For tests, and for a second instance of a script.
local PREFIX = "\\\\.\\pipe\\" -- Windows: the same name in full

---@param core table
---@param names table<string, string> the script's name -> the one to use
return function(core, names)
  local folded = {}
  for from, to in pairs(names) do
    folded[from:lower()] = to
  end

  -- As Windows takes names, large and small letters are the same.
  local function real(name)
    if type(name) ~= "string" then
      return name
    end
    local short = name:sub(1, #PREFIX) == PREFIX and name:sub(#PREFIX + 1) or name
    return folded[short:lower()] or name
  end

  core.real_name = real
  for _, key in ipairs { "create", "create_served", "open", "available" } do
    local fn = core[key]
    core[key] = function(name, ...)
      return fn(real(name), ...)
    end
  end
end
