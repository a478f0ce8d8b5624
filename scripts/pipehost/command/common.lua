-- SPDX-License-Identifier: MIT
-- What the commands share: exit statuses, scripts as generations, options.
local core = require "pipehost.core"
local lfs = require "lfs"
local source_error = require "pipehost.source_error"

local M = {
  OK = 0, FAILED = 1, USAGE = 2, NO_TESTS = 5, SCRIPT_ERROR = 65, UNAVAILABLE = 69, INTERNAL = 70,
  TIMED_OUT = 75,
}

local EXPLAIN_MS = 1000

function M.script_options(command)
  command:option("--set", "Set pipehost.config.KEY."):argname("KEY=VALUE"):count("*")
  command:option("--path", "Look for modules in DIR too."):argname("DIR"):count("*")
  command:option("--rename", "Use the pipe NEW where the script says OLD."):argname("OLD=NEW"):count("*")
  command:option("--faults", "Faults on a pipe, as tests hand them on."):argname("NAME=PLAN"):count("*"):hidden(true)
  command:flag("--no-limits", "No limits on memory and computing time (for debuggers).")
end

---For people, on stderr; the traceback only when asked for.
function M.complain(message, verbose)
  if not verbose then
    message = message:gsub("\nstack traceback:.*$", "")
  end
  io.stderr:write("pipehost: ", message, "\n")
end

---The message with the lines of the generation's script that it is about.
---@param generation userdata in which it happened
---@param message string
---@param colour? boolean
---@return string
function M.explain(generation, message, colour)
  local remote = generation:start "sources"
  if not remote then
    return message
  end
  local ok, sources, failure = remote:wait(EXPLAIN_MS)
  if not ok then
    return message
  end
  return source_error.required_from(source_error.explain(message, sources, colour), failure)
end

---The same, on stderr.
function M.complain_of(generation, message, verbose)
  M.complain(M.explain(generation, message, M.colour()), verbose)
end

---Is stderr a terminal that is to show colours?
---@return boolean
function M.colour()
  return core.host.is_terminal "stderr" and not os.getenv "NO_COLOR"
end

function M.file_name(path)
  return path:match("[^/\\]+$") or path
end

-- The words KEY=VALUE of an option as a table.
local function table_of(words, option, form)
  local values = {}
  for _, word in ipairs(words or {}) do
    local key, value = word:match("^([^=]+)=(.*)$")
    if not key then
      return nil, ("%s %s: is not %s"):format(option, word, form)
    end
    values[key] = value
  end
  return values
end

---A generation of the script, its library loaded, nothing of the script run.
---@param path string
---@param args table the command line
---@param mode "serve" | "run" | "check" | "test"
---@param more? { number?: integer, owner?: integer, snapshot?: table<string, string> }
---@return userdata? generation
---@return string? message
---@return integer? status
function M.open(path, args, mode, more)
  more = more or {}
  local config, message = table_of(args.set, "--set", "KEY=VALUE")
  local names, why_not = table_of(args.rename, "--rename", "OLD=NEW")
  if not config or not names then
    return nil, message or why_not, M.USAGE
  end
  if not more.snapshot and lfs.attributes(path, "mode") ~= "file" then
    return nil, ("%s: there is no such script"):format(path), M.SCRIPT_ERROR
  end
  local number = more.number or 1
  local generation, why = core.host.open(M.file_name(path), number, {
    script = path, mode = mode, arguments = args.rest or {}, config = config, paths = args.path or {},
    library = args.library, generation = number, snapshot = more.snapshot, limits = not args.no_limits,
    names = next(names) and names or nil,
  }, more.owner, mode == "test")
  if not generation then
    return nil, why, M.SCRIPT_ERROR
  end
  return generation
end

---Ends what the script still runs and gives its memory back.
function M.close(generation)
  for _ = 1, 10 do
    generation:cancel(true)
    if generation:idle(100) then
      break
    end
  end
  generation:close()
end

---A number of milliseconds from the command line, for argparse.
function M.milliseconds(text)
  local ms = tonumber(text)
  if not ms or ms < 0 then
    return nil, ("'%s' is not a number of milliseconds"):format(text)
  end
  return ms
end

---A whole number above 0 from the command line, for argparse.
function M.count(text)
  local count = math.tointeger(tonumber(text))
  if not count or count < 1 then
    return nil, ("'%s' is not a whole number above 0"):format(text)
  end
  return count
end

return M
