-- SPDX-License-Identifier: MIT
local common = require "pipehost.command.common"
local control = require "pipehost.control"
local pipe = require "pipehost.pipe"

local M = {}

local ANSWER_MS = 5000
local RELOAD_MS = 120000 -- a load may take its time, and wait for another's end
local STOP_MS = 60000 -- the other side's own drain ends it long before
local actions = { "status", "generations", "reload", "rollback", "stop" }

function M.options(parser)
  local command = parser:command("ctl", "Ask or tell a serving pipehost.")
  command:option("--control", "Its control pipe, where several run."):argname("NAME")
  command:argument("action", "status, generations, reload, rollback or stop."):choices(actions)
  command:argument("script", "reload, rollback: only this script."):args("?")
  command:argument("number", "rollback: to this generation; without it, to the one before."):args("?")
  command:flag("--evict", "reload: cut the clients that hold older generations.")
  command:flag("--force", "reload: also when no file has changed.")
  command:flag("--json", "Print the answer as JSON.")
end

local function fail(info)
  common.complain(tostring(info))
  return common.UNAVAILABLE
end

-- `rollback 3` is of all scripts.
local function script_and_number(args)
  if args.action == "rollback" and not args.number and args.script and args.script:find "^%d+$" then
    return nil, args.script
  end
  return args.script, args.number
end

local function request_of(args)
  local script, number = script_and_number(args)
  if script and args.action ~= "reload" and args.action ~= "rollback" then
    return nil, ("ctl %s takes no script"):format(args.action)
  elseif number and (args.action ~= "rollback" or not number:find "^%d+$") then
    return nil, ("'%s' is not the number of a generation to roll back to"):format(number)
  end
  return control.request(args.action, {
    script = script, number = number, evict = args.evict, force = args.force, json = args.json,
  })
end

function M.main(args)
  local request, misuse = request_of(args)
  if not request then
    common.complain(misuse)
    return common.USAGE
  end
  local name, message = control.find(args.control)
  if not name then
    return fail(message)
  end
  local conn, _, info = pipe.open(name, {
    mode = "message", timeout = ANSWER_MS, wait = "free", max_message = control.LONGEST,
  })
  if not conn then
    return fail(info)
  end
  local reply, _, reply_info = conn:transact(request, args.action == "stop" and ANSWER_MS or RELOAD_MS)
  if not reply then
    return fail(reply_info)
  end
  local status, text = control.parse_reply(reply)
  if status == common.OK or status and args.json then
    print(text)
  else
    common.complain(text or reply)
  end
  if args.action == "stop" and status == common.OK then
    conn:receive(STOP_MS) -- ends when the host is gone
  end
  conn:close()
  return status or common.FAILED
end

return M
