-- SPDX-License-Identifier: MIT
-- on_start, on_stop, and what the command line told the script.
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local M = { config = {} }
local starts, stops = {}, {}
local STOP_MS = 1000

local function add(list, what)
  return function(fn)
    if type(fn) ~= "function" then
      error(("pipehost.%s: a function is needed, this is a %s"):format(what, type(fn)), 2)
    end
    list[#list + 1] = fn
  end
end

---Runs fn as a task once the script's servers listen.
---@type fun(fn: fun())
M.on_start = add(starts, "on_start")

---Runs fn when the script is stopped, for at most 1000 ms.
---@type fun(fn: fun())
M.on_stop = add(stops, "on_stop")

function M.has_start()
  return #starts > 0
end

function M.start()
  for _, fn in ipairs(starts) do
    pipe.spawn(fn)
  end
end

local function guarded(fn)
  local ok, message = xpcall(fn, debug.traceback)
  if not ok then
    log.error(message)
  end
end

---Runs what on_stop was given, once.
function M.stop()
  local tasks = {}
  while stops[1] do
    tasks[#tasks + 1] = pipe.spawn(guarded, table.remove(stops, 1))
  end
  if #tasks > 0 then
    pipe.wait_all(tasks, STOP_MS)
  end
end

return M
