-- SPDX-License-Identifier: MIT
-- `pipehost proxy`: between real clients and their server, passes on what they say.
local common = require "pipehost.command.common"

local M = {}

local OPEN_MS = 5000
local SHOWN = 32 -- bytes of a message with -v

function M.options(parser)
  local command = parser:command("proxy", "Stand between clients and a server, and pass on what they say.")
  command:argument("listen", "The pipe that clients are to open.")
  command:argument("target", "The pipe of the server.")
  command:option("--mode", "message or byte."):choices { "message", "byte" }:default("message")
  command:option("--connections", "End after so many connections."):argname("N"):convert(common.count)
  command:option("--timeout", "How long to wait for TARGET to be there, in ms."):argname("MS")
    :convert(common.milliseconds):default(tostring(OPEN_MS))
  command:option("--max-message", "The longest message, in bytes."):argname("BYTES"):convert(common.count)
end

-- A debug line for each event: with -v.
local function show_event(conn, kind, bytes, by)
  local hex, log = require "pipehost.hex", require "pipehost.log"
  log.debug(function()
    local what = bytes and hex.line(bytes, SHOWN) or by
    return ("connection %d: %s"):format(conn, kind) .. (what and " " .. what or "")
  end)
end

local function usage(args)
  if args.listen:lower() == args.target:lower() then
    return ("proxy %s %s: clients open one pipe, the server has another"):format(args.listen, args.target)
  end
end

function M.main(args)
  local wrong = usage(args)
  if wrong then
    common.complain(wrong)
    return common.USAGE
  end
  local log = require "pipehost.log"
  local relay = require("pipehost.relay").new {
    target = args.target, mode = args.mode, max_message = args.max_message, timeout = args.timeout,
    connections = args.connections, see = show_event,
  }
  local ok, why = relay:listen(args.listen)
  if not ok then
    common.complain(why)
    return common.UNAVAILABLE
  end
  local way = ("%s -> %s"):format(args.listen, args.target)
  log.info("passing on " .. way)
  relay:wait()
  relay:stop()
  print(("%s: %s"):format(way, relay:summary()))
  return common.OK
end

return M
