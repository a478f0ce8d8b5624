-- SPDX-License-Identifier: MIT
-- `pipehost proxy`: between real clients and their server, passes on what they say, or
-- with --fault not quite.
local common = require "pipehost.command.common"
local fault = require "pipehost.fault"
local hex = require "pipehost.hex"
local log = require "pipehost.log"
local relays = require "pipehost.relay"

local M = {}

local OPEN_MS = 5000
local SHOWN = 32 -- bytes of a message with -v

local FAULT_HELP = [[What goes wrong, as FAULT[=VALUE][,OPTION=VALUE]…, more than once if need be.
delay=MS       it comes later (jitter=MS: each time by up to so much more or less)
drop           it is lost
cut=BYTES      the connection ends after so many bytes
split          each byte comes alone
join[=MS]      one with the next, for which it waits so long
duplicate      it comes twice
corrupt        one of its bytes is another one
stall          neither it nor what is behind it comes
refuse[=N]     clients, or the first N, are let in and dropped
in: or out: before it: only what clients send, or what they get.
Options tell to which messages it happens: nth=N, from=N, to=N, every=N, chance=10%.]]

function M.options(parser)
  local command = parser:command("proxy", "Stand between clients and a server, and make faults between them.")
  command:argument("listen", "The pipe that clients are to open.")
  command:argument("target", "The pipe of the server.")
  command:option("--fault", FAULT_HELP):argname("SPEC"):count("*")
  command:option("--seed", "Of all that is by chance: the same seed, the same faults."):argname("N")
    :convert(math.tointeger):default("1")
  command:option("--mode", "message or byte."):choices { "message", "byte" }:default("message")
  command:option("--connections", "End after so many connections."):argname("N"):convert(common.count)
  command:option("--timeout", "How long to wait for TARGET to be there, in ms."):argname("MS")
    :convert(common.milliseconds):default(tostring(OPEN_MS))
  command:option("--max-message", "The longest message, in bytes."):argname("BYTES"):convert(common.count)
end

-- A debug line for each event: with -v.
local function show_event(conn, kind, bytes, by)
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

-- What there was, on stdout; with -v also each fault.
local function report(way, relay, faults)
  for _, event in ipairs(faults and faults:events() or {}) do
    log.debug(fault.event_text(event, relay.messages and "message" or "chunk"))
  end
  local text = ("%s: %s"):format(way, relay:summary())
  print(faults and ("%s; %s"):format(text, fault.summary(faults)) or text)
end

function M.main(args)
  local wrong, faults = usage(args), nil
  if not wrong and #args.fault > 0 then
    faults, wrong = fault.start(args.listen, args.fault, args.seed)
  end
  if wrong then
    common.complain(wrong)
    return common.USAGE
  end
  local relay = relays.new {
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
  report(way, relay, faults)
  return common.OK
end

return M
