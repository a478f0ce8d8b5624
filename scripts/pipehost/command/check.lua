-- SPDX-License-Identifier: MIT
local common = require "pipehost.command.common"

local M = {}

function M.options(parser)
  local command = parser:command("check", "Load scripts as far as their first pipe operation.")
  command:argument("scripts", "The scripts."):args("+")
  common.script_options(command)
end

local function check(path, args)
  local generation, message, status = common.open(path, args, "check")
  if not generation then
    return nil, message, status
  end
  local ok, place = generation:start("check"):wait()
  local text = ok and place
  if not ok then
    place = common.explain(generation, place, common.colour())
  end
  common.close(generation)
  if not ok then
    return nil, place, common.SCRIPT_ERROR
  end
  return text and ("checked as far as line " .. (text:match(":(%d+)$") or text)) or "ok"
end

function M.main(args)
  local status = common.OK
  for _, path in ipairs(args.scripts) do
    local verdict, message, failed = check(path, args)
    if verdict then
      print(path .. ": " .. verdict)
    else
      common.complain(message, args.verbose)
      status = failed
    end
  end
  return status
end

return M
