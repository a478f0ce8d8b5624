-- SPDX-License-Identifier: MIT
-- pipehost.pipe: the overlapped pipe. The C functions, and what is written on
-- top of them.
local core = require "pipehost.core"
require "pipehost.frame"

---@class pipehost.pipe
local M = {
  create = core.create,
  open = core.open,
  available = core.available,
  spawn = core.spawn,
  event = core.event,
  sleep = core.sleep,
  now = core.now,
  wait_any = core.wait_any,
  wait_all = core.wait_all,
}

local call_options = { "timeout", "wait", "max_message", "peer" }

---Opens the pipe, writes one message, reads the reply and closes, all under one
---deadline (options.timeout, ms).
---@param name string
---@param data string
---@param options? { timeout?: number, wait?: string, max_message?: integer, peer?: string }
---@return string? reply
---@return string? code
---@return table? info
function M.call(name, data, options)
  options = options or {}
  core.check_options(options, call_options, "pipe.call")
  local deadline = options.timeout and M.now() + options.timeout
  -- Closed also where transact raises; __close does not wait for it.
  local pipe <close>, code, info = M.open(name, {
    mode = "message", timeout = options.timeout, wait = options.wait,
    max_message = options.max_message, peer = options.peer,
  })
  if not pipe then
    return nil, code, info
  end
  local left = deadline and math.max(deadline - M.now(), 0)
  local reply, reply_code, reply_info = pipe:transact(data, left)
  pipe:close()
  if reply == nil then
    return nil, reply_code, reply_info
  end
  return reply
end

return setmetatable(M, { __index = core.index(M, "pipehost.pipe") })
