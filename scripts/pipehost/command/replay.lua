-- SPDX-License-Identifier: MIT
-- `pipehost replay`: plays one end of a recording, and says where the other end
-- differs from it.
local common = require "pipehost.command.common"
local record = require "pipehost.command.record"
local show = require "pipehost.show"

local M = {}

local WAIT_MS = 30000

function M.options(parser)
  local command = parser:command("replay", "Play one end of a recording, and compare the other.")
  command:argument("file", "The recording.")
  command:option("--as", "The end to play: server or client."):target("role"):choices { "server", "client" }
    :default("server")
  command:option("--pipe", "The pipe to serve or to open (default: the recorded one)."):argname("NAME")
  command:option("--record", "What may be recorded: none, once (when there is no FILE), "
    .. "new (further connections), all (everything anew)."):choices { "none", "once", "new", "all" }:default("none")
  command:option("--to", "The real server, for --record."):argname("TARGET")
  command:option("--mode", "With --record and no FILE: message or byte."):choices { "message", "byte" }
    :default("message")
  command:option("--connections", "With --record, end after so many connections."):argname("N"):convert(common.count)
  command:option("--match", "exact, or any: what the other end says does not matter."):choices { "exact", "any" }
    :default("exact")
  command:option("--ignore", "A field of the protocol's structs that may differ."):argname("FIELD"):count("*")
  command:option("--timing", "fast, or recorded: sends when it was sent."):choices { "fast", "recorded" }
    :default("fast")
  command:option("--timeout", "How long to wait for the other end each time, in ms; 0: for ever."):argname("MS")
    :convert(common.milliseconds):default(tostring(WAIT_MS))
  command:flag("--to-lua", "Print a script that plays this end with handshake steps, instead of playing.")
  record.pipe_options(command)
end

---@param text? string | false
local function words(text)
  local list = {}
  for word in (text or ""):gmatch "%S+" do
    list[#list + 1] = word
  end
  return list
end

-- What was hidden in the recording can be nothing that came.
local function ignored_fields(args, recording)
  local list = words(args.match == "exact" and recording and recording.header.redacted)
  return table.move(args.ignore, 1, #args.ignore, #list + 1, list)
end

-- Recording ------------------------------------------------------------------------

-- Options of a recorder for this command line.
local function recorder_options(args, protocol, header)
  return {
    target = args.to, output = args.file, mode = header and header.mode or args.mode, max_message = args.max_message,
    timeout = args.timeout, protocol = protocol, redact = words(header and header.redacted),
    connections = args.connections,
  }
end

-- What is wrong with the command line, nil when nothing is.
local function usage(args, exists)
  if args.record == "none" then
    return (args.to or args.connections) and "--to and --connections belong to --record once, new or all"
  elseif args.role == "client" then
    if args.record ~= "all" then
      return ("--record %s needs --as server; a client's end can only be recorded anew, with --record all")
        :format(args.record)
    end
    return not exists and ("%s: there is no such file, and what a client says cannot be made up"):format(args.file)
  elseif not args.to and not (args.record == "once" and exists) then
    return ("--record %s needs --to TARGET, the real server"):format(args.record)
  elseif not exists and not args.pipe then
    return ("%s: there is no such file to tell the pipe's name; give --pipe NAME"):format(args.file)
  end
end

-- Replaying ------------------------------------------------------------------------

local function verdict(replay, path)
  if #replay.failures == 0 then
    print(("%s: %s, %s, as recorded"):format(path, show.count(replay.played + replay.others, "connection"),
      show.count(replay.turns, "turn")))
    return common.OK
  end
  common.complain(replay:report())
  for _, wrong in ipairs(replay.failures) do
    if not wrong.turn and (wrong.code == "absent" or wrong.code == "busy" or wrong.code == "denied") then
      return common.UNAVAILABLE
    end
  end
  return common.FAILED
end

local function as_server(args, recording, options, protocol)
  local replays = require "pipehost.record.replay"
  local recorder
  if args.record == "new" then
    local message
    local recorder_of = recorder_options(args, protocol, recording.header)
    recorder_of.before = recording
    recorder, message = require("pipehost.record.recorder").new(recorder_of)
    if not recorder then
      common.complain(message)
      return common.FAILED
    end
    options.connections = args.connections
    function options.extra(conn)
      recorder.relay:talk(conn)
    end
  end
  local replay = replays.new(recording, options)
  local message = replay:serve()
  local broken = recorder and recorder:stop()
  if message or broken then
    common.complain(message or broken)
    return message and common.UNAVAILABLE or common.FAILED
  end
  return verdict(replay, args.file)
end

local function as_client(args, recording, options)
  local replays, rewrite = require "pipehost.record.replay", require "pipehost.record.rewrite"
  local again
  if args.record == "all" then
    again = rewrite.new(recording)
    options.matching.any = true
    function options.see(...)
      again:see(...)
    end
  end
  local replay = replays.new(recording, options)
  replay:connect()
  local message = again and #replay.failures == 0 and again:write(args.file)
  if message then
    common.complain(message)
    return common.FAILED
  end
  return verdict(replay, args.file)
end

local function needs_frame(args, recording, protocol, ignored)
  if recording.header.mode == "message" or protocol and protocol.frame then
    return nil
  elseif #ignored > 0 then
    return "fields of a byte pipe can be ignored only where the protocol tells its frame"
  elseif args.record == "all" and args.role == "client" then
    return "a byte pipe can be recorded anew only where the protocol tells its frame"
  end
end

local function to_lua(args, recording, protocol)
  io.write(require("pipehost.record.to_lua").text(recording, args.role, protocol, args.protocol))
  return common.OK
end

local function play(args, recording, protocol)
  local ignored = ignored_fields(args, recording)
  local why = needs_frame(args, recording, protocol, ignored)
  if why then
    common.complain(("%s: %s"):format(args.file, why))
    return common.USAGE
  end
  local options = {
    role = args.role, name = args.pipe or recording.header.pipe, timeout = args.timeout,
    recorded_time = args.timing == "recorded", protocol = protocol, max_message = args.max_message,
    matching = { any = args.match == "any", ignore = ignored, protocol = protocol },
  }
  if args.role == "server" then
    return as_server(args, recording, options, protocol)
  end
  return as_client(args, recording, options)
end

function M.main(args)
  local lfs = require "lfs"
  local exists = lfs.attributes(args.file, "mode") == "file"
  args.timeout = args.timeout > 0 and args.timeout or nil
  local wrong = usage(args, exists)
  if wrong then
    common.complain(wrong)
    return common.USAGE
  end
  local recording, message
  if exists then
    recording, message = require("pipehost.record.format").read(args.file)
  elseif args.record == "none" then
    message = ("%s: there is no such recording"):format(args.file)
  end
  if message then
    common.complain(message)
    return common.SCRIPT_ERROR
  end
  local protocol, status = record.protocol(args, ignored_fields(args, recording))
  if protocol == false then
    return status
  elseif args.to_lua and recording then
    return to_lua(args, recording, protocol)
  elseif args.role == "server" and (args.record == "all" or not recording) then
    return record.run(args.pipe or recording and recording.header.pipe,
      recorder_options(args, protocol, recording and recording.header))
  end
  return play(args, recording, protocol)
end

return M
