-- SPDX-License-Identifier: MIT
local common = require "pipehost.command.common"
local control = require "pipehost.control"
local pipe = require "pipehost.pipe"

local M = {}

local ANSWER_MS = 5000
local RELOAD_MS = 60000 -- a load may take its time
local STOP_MS = 60000 -- the other side's own drain ends it long before

function M.options(parser)
  local command = parser:command("ctl", "Ask or tell a serving pipehost.")
  command:option("--control", "Its control pipe, where several run."):argname("NAME")
  command:argument("action", "status, generations, reload, rollback or stop.")
    :choices { "status", "generations", "reload", "rollback", "stop" }
  command:argument("script", "reload, rollback: only this script."):args("?")
  command:argument("number", "rollback: to this generation."):args("?")
  command:flag("--evict", "reload: cut the clients that hold older generations.")
end

local function fail(info)
  common.complain(tostring(info))
  return common.UNAVAILABLE
end

function M.main(args)
  local name, message = control.find(args.control)
  if not name then
    return fail(message)
  end
  local conn, _, info = pipe.open(name, { mode = "message", timeout = ANSWER_MS, wait = "free" })
  if not conn then
    return fail(info)
  end
  local request = table.concat({
    args.action, args.script or "", args.action == "rollback" and args.number or args.evict and "evict" or "",
  }, "\n")
  local reply, _, reply_info = conn:transact(request, args.action == "stop" and ANSWER_MS or RELOAD_MS)
  if not reply then
    return fail(reply_info)
  end
  local verdict, text = reply:match("^(%a+)\n(.*)$")
  if verdict ~= "ok" then
    common.complain(text or reply)
    return common.FAILED
  end
  print(text)
  if args.action == "stop" then
    conn:receive(STOP_MS) -- ends when the host is gone
  end
  conn:close()
  return common.OK
end

return M
