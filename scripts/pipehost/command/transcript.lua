-- SPDX-License-Identifier: MIT
-- `pipehost transcript`: shows a recording to people.
local common = require "pipehost.command.common"
local record = require "pipehost.command.record"

local M = {}

function M.options(parser)
  local command = parser:command("transcript", "Show a recording: as text, or as a sequence diagram.")
  command:argument("file", "The recording.")
  command:mutex(
    command:flag("--svg", "A picture of the conversation."),
    command:flag("--html", "A page with the picture, and all bytes below it."))
  command:option("-o --output", "The file to write (default: what is printed)."):argname("FILE")
  command:option("--protocol", "A file of Lua that tells the structs of both ends."):argname("FILE")
end

local function write(path, text)
  if not path then
    io.write(text)
    return true
  end
  return require("pipehost.files").write(path, text)
end

local function text_of(args, recording, protocol)
  local name = args.svg and "svg" or args.html and "html" or "text"
  return require("pipehost.record." .. name).text(recording, protocol)
end

function M.main(args)
  local recording, message = require("pipehost.record.format").read(args.file)
  if not recording then
    common.complain(message)
    return common.SCRIPT_ERROR
  end
  local protocol, status = record.protocol(args, {})
  if protocol == false then
    return status
  end
  local ok, why = write(args.output, text_of(args, recording, protocol))
  if not ok then
    common.complain(("cannot write %s: %s"):format(args.output, why))
    return common.FAILED
  end
  return common.OK
end

return M
