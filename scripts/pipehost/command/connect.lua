-- SPDX-License-Identifier: MIT
-- A client for people and for shell scripts.
local common = require "pipehost.command.common"
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"

local M = {}

local by_code = {
  timeout = common.TIMED_OUT, absent = common.UNAVAILABLE, busy = common.UNAVAILABLE,
}

function M.options(parser)
  local command = parser:command("connect", "Talk to a pipe: lines go out, what comes is shown.")
  command:argument("pipe", "The pipe's name.")
  command:mutex(
    command:flag("--message", "Only a message pipe: each line is a message."),
    command:flag("--lines", "Only a byte pipe, line by line."))
  command:mutex(
    command:flag("--hex", "Lines and what comes in hex."),
    command:option("--struct", "Lines and what comes as structs of the Lua file FILE."):argname("FILE"))
  command:option("--send-as", "The struct of lines that don't name one."):argname("NAME")
  command:option("--receive-as", "The struct of what comes."):argname("NAME")
  command:flag("--ask", "Wait for the reply to each line before the next one.")
  command:flag("--send-only", "Expect no replies.")
  command:option("--timeout", "For the open, each write, and each reply that is waited for, in ms.")
    :argname("MS"):convert(common.milliseconds)
  command:option("--max-message", "Longest message, in bytes."):argname("BYTES"):convert(math.tointeger)
    :default("65536")
  command:flag("--any-peer", "Whoever serves the pipe, not only this user.")
end

local function format_of(args)
  local formats = require "pipehost.connect.format"
  local terminal = core.host.is_terminal "stdout"
  if args.struct then
    return formats.struct(args.struct, args.send_as, args.receive_as)
  end
  return args.hex and formats.hex(terminal) or formats.text(terminal)
end

-- What is a unit on this pipe: framing, its size; or nil and why there is none.
local function framing_of(args, mode, struct)
  if mode == "message" then
    return "message"
  elseif args.lines then
    return "line"
  elseif not args.struct then
    return "chunk"
  elseif struct and struct.size then
    return "struct", struct.size
  end
  return nil, "on a byte pipe --struct needs --receive-as NAME, of a struct that has one size"
end

local function complain(code, info, args)
  common.complain(tostring(info or code), args.verbose)
  return by_code[code] or common.FAILED
end

local function session_of(conn, args, format, struct)
  local framing, size = framing_of(args, conn:info().mode, struct)
  if not framing then
    return nil, size
  end
  return require("pipehost.connect.session").new {
    conn = conn, name = args.pipe, format = format, framing = framing, size = size,
    raw = framing == "chunk" and not args.hex, ms = args.timeout,
    ask = args.ask, send_only = args.send_only, verbose = args.verbose,
    terminal = core.host.is_terminal "stdin" and core.host.is_terminal "stdout",
  }
end

-- Until one of the ends has gone, or Ctrl-C.
local function converse(session, args)
  local task = pipe.spawn(session.run, session)
  local signal = pipe.spawn(core.host.wait_signal)
  if pipe.wait_any { task, signal } == signal then
    task:cancel()
    common.complain "interrupted"
    return common.FAILED
  end
  signal:cancel()
  local _, ok, code, info = task:wait()
  return ok and common.OK or complain(code, info, args)
end

function M.main(args)
  local format, message, struct = format_of(args)
  if not format then
    common.complain(message, args.verbose)
    return common.SCRIPT_ERROR
  end
  local conn <close>, code, info = pipe.open(args.pipe, {
    mode = args.message and "message" or args.lines and "byte" or nil, timeout = args.timeout,
    max_message = args.max_message, peer = args.any_peer and "any" or nil,
  })
  if not conn then
    return complain(code, info, args)
  end
  local session, why = session_of(conn, args, format, struct)
  if not session then
    common.complain(why)
    return common.USAGE
  end
  local status = converse(session, args)
  conn:close()
  return status
end

return M
