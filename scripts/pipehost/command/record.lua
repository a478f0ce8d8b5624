-- SPDX-License-Identifier: MIT
-- `pipehost record`: between a client and a server, writes what they say into a file.
local common = require "pipehost.command.common"

local M = {}

local OPEN_MS = 5000

---Options that `record` and `replay` share.
function M.pipe_options(command)
  command:option("--max-message", "The longest message, in bytes."):argname("BYTES"):convert(common.count)
  command:option("--protocol", "A file of Lua that tells the structs of both ends."):argname("FILE")
end

function M.options(parser)
  local command = parser:command("record", "Record what a client and a server say to each other.")
  command:option("--listen", "The pipe that clients are to open."):argname("NAME"):count(1)
  command:option("--to", "The pipe of the server."):argname("TARGET"):count(1)
  command:option("-o --output", "The file to write."):argname("FILE"):count(1)
  command:option("--mode", "message or byte."):choices { "message", "byte" }:default("message")
  command:option("--redact", "Hide this field of the protocol's structs."):argname("FIELD"):count("*")
  command:option("--connections", "End after so many connections."):argname("N"):convert(common.count)
  command:option("--timeout", "How long to wait for TARGET to be there, in ms."):argname("MS")
    :convert(common.milliseconds):default(tostring(OPEN_MS))
  M.pipe_options(command)
end

---The protocol of --protocol and what it is to know; false and the status where it
---cannot be had.
---@return pipehost.record.protocol | false | nil
---@return integer? status
function M.protocol(args, wanted)
  local loader = require "pipehost.record.loader"
  if not args.protocol then
    if #wanted > 0 then
      common.complain(("field '%s': --protocol FILE is to tell the structs"):format(wanted[1]))
      return false, common.USAGE
    end
    return nil
  end
  local protocol, message = loader.load(args.protocol, args.folders)
  if not protocol then
    common.complain(message, args.verbose)
    return false, common.SCRIPT_ERROR
  end
  local unknown = protocol:unknown_field(wanted)
  if unknown then
    common.complain(("%s: %s"):format(args.protocol, unknown))
    return false, common.USAGE
  end
  return protocol
end

local function redacts_bytes(args, protocol)
  return #args.redact > 0 and args.mode == "byte" and not protocol.frame
end

---Listens and records until a signal, or as many connections as were asked for.
---@param listen string
---@param options pipehost.recorder.options
---@return integer status
function M.run(listen, options)
  local log = require "pipehost.log"
  local recorder, message = require("pipehost.record.recorder").new(options)
  if not recorder then
    common.complain(message)
    return common.FAILED
  end
  local ok, why = recorder.relay:listen(listen)
  if not ok then
    recorder:stop()
    common.complain(why)
    return common.UNAVAILABLE
  end
  log.info(("recording %s -> %s into %s"):format(listen, options.target, options.output))
  recorder.relay:wait()
  local broken = recorder:stop()
  if broken then
    common.complain(broken)
    return common.FAILED
  end
  print(("%s: %s"):format(options.output, recorder.relay:summary()))
  return common.OK
end

function M.main(args)
  local protocol, status = M.protocol(args, args.redact)
  if protocol == false then
    return status
  elseif redacts_bytes(args, protocol) then
    common.complain "--redact on a byte pipe: the protocol is to tell its frame, for a field could be cut in two"
    return common.USAGE
  end
  return M.run(args.listen, {
    target = args.to, output = args.output, mode = args.mode, max_message = args.max_message,
    timeout = args.timeout, protocol = protocol, redact = args.redact, connections = args.connections,
  })
end

return M
