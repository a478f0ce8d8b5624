-- SPDX-License-Identifier: MIT
local core = require "pipehost.core"
local lifecycle = require "pipehost.lifecycle"

local names = { "memory", "cpu", "tasks" }

---What this script may use, instead of 64 MiB, 100 ms and 10000 tasks at a time.
---`cpu` is what a handler may compute between two waits; math.huge: as long as it
---wants, and as many.
---@param options { memory?: integer, cpu?: number, tasks?: number } bytes, milliseconds
return function(options)
  if type(options) ~= "table" then
    error("pipehost.limits: takes a table, such as { cpu = 200 }", 2)
  end
  core.check_options(options, names, "pipehost.limits")
  if lifecycle.served and core.phase() == "running" then
    error("pipehost.limits: only while the script loads", 2)
  end
  core.set_limits(options.memory, options.cpu, options.tasks)
end
