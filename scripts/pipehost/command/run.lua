-- SPDX-License-Identifier: MIT
local common = require "pipehost.command.common"
local core = require "pipehost.core"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local M = {}

local DRAIN_MS = 1000
local by_code = { timeout = common.TIMED_OUT, absent = common.UNAVAILABLE, busy = common.UNAVAILABLE }

function M.options(parser)
  local command = parser:command("run", "Run a script to its end.")
  command:argument("script", "The script; what follows is for it.")
  common.script_options(command)
end

---The exit status for what a script came to, and the sentence if there is one.
---@param result { code?: string, message?: string, value?: any }
---@return integer
---@return string?
function M.status_of(result)
  if result.code then
    return by_code[result.code] or common.FAILED, result.message
  end
  local value = result.value
  if value == true then
    return common.OK
  end
  return math.type(value) == "integer" and value or value and common.OK or common.FAILED
end

-- A server is declared, and `run` was meant to be `serve`?
local function tell_of_servers(generation)
  local remote = generation:start "status"
  if not remote then
    return
  end
  local ok, servers = remote:wait(DRAIN_MS)
  if ok and servers[1] then
    log.info("the script has ended, and its servers end with it (pipehost serve keeps them)")
  end
end

-- The script's end, or a signal before it.
local function finish(generation, verbose)
  local remote = generation:start "run"
  local task = pipe.spawn(function()
    return remote:wait()
  end)
  local signal = pipe.spawn(core.host.wait_signal)
  if pipe.wait_any { task, signal } == signal then
    common.complain("interrupted")
    task:cancel()
    return common.FAILED
  end
  local _, ok, result = task:wait()
  -- What computed without waiting has seen the signal first.
  if not ok and signal:wait(1) then
    common.complain(result)
    return common.FAILED
  end
  signal:cancel()
  if ok then
    tell_of_servers(generation)
    local status, message = M.status_of(result)
    if message then
      common.complain(message)
    end
    return status
  end
  common.complain_of(generation, result, verbose)
  return common.SCRIPT_ERROR
end

function M.main(args)
  local generation, message, status = common.open(args.script, args, "run")
  if not generation then
    common.complain(message)
    return status
  end
  status = finish(generation, args.verbose)
  local stopping = generation:start("stop", DRAIN_MS)
  if stopping then
    stopping:wait(2 * DRAIN_MS)
  end
  common.close(generation)
  return status
end

return M
