-- SPDX-License-Identifier: MIT
-- What a process of this machine has computed, in ms, by the kernel's own count,
-- which goes by 10. A program under Wine is such a process too, and its os.clock is
-- the time of day, in which other programs compute as well.
local ROOT = package.config:sub(1, 1) == "\\" and "Z:" or ""
local USER_TICK_MS = 10

---@param pid string
---@return number
return function(pid)
  local file <close> = assert(io.open(ROOT .. "/proc/" .. pid .. "/stat", "rb"))
  -- The name may have anything in it; it is the last with a parenthesis.
  local user, system = file:read "a":match("^.*%) %S" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  return (user + system) * USER_TICK_MS
end
