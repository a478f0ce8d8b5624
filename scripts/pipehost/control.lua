-- SPDX-License-Identifier: MIT
-- The control pipe. A request is one message: a command and its arguments on
-- lines of their own, "name=value" where they have names. The reply is one
-- message: an exit status on the first line, then a text.
local common = require "pipehost.command.common"
local core = require "pipehost.core"
local encode = require "pipehost.json"
local pipe = require "pipehost.pipe"
local report = require "pipehost.report"
local server = require "pipehost.server"

local M = {}

local PREFIX = "pipehost-ctl-"
M.LONGEST = 262144 -- bytes, of a request or reply

-- Commands ------------------------------------------------------------------------

-- The scripts that a command is for: all, or those named by path or file name.
local function chosen(scripts, name)
  if not name then
    return scripts
  end
  local list = {}
  for _, script in ipairs(scripts) do
    if script.path == name then
      return { script }
    elseif script.path:match("[^/\\]+$") == name then
      list[#list + 1] = script
    end
  end
  return list
end

-- Side by side: one script's slow load does not keep the others waiting.
local function each_script(scripts, act)
  local tasks, lines, results, worst = {}, {}, {}, common.OK
  for i, script in ipairs(scripts) do
    tasks[i] = pipe.spawn(act, script)
  end
  for i, script in ipairs(scripts) do
    local _, text, message, status = tasks[i]:wait()
    status = text and common.OK or status or common.FAILED
    text = (text or message):gsub("\nstack traceback:.*$", "")
    worst, lines[i] = math.max(worst, status), text
    results[i] = {
      script = script.path, status = status, message = text, generation = script.number, commit_ms = script.commit_ms,
    }
  end
  return worst, table.concat(lines, "\n"), { results = results }
end

local function on_scripts(served, options, act)
  local scripts = chosen(served.scripts, options.script)
  if not scripts[1] then
    local why = options.script and ("no script '%s' is served"):format(options.script) or "no script is served"
    return common.FAILED, why, { error = why }
  end
  return each_script({ table.unpack(scripts) }, act)
end

---@param served pipehost.serving
---@param version string
local function new_handlers(served, version)
  local handlers = {}

  function handlers.status()
    local data = report.status(served.scripts, version, served.args.crew)
    return common.OK, report.status_text(data), data
  end

  function handlers.generations()
    local data = report.generations(served.scripts)
    return common.OK, report.generations_text(data), data
  end

  -- For `pipehost list`, which reads it.
  function handlers.pipes()
    local data = report.status(served.scripts, version, served.args.crew)
    return common.OK, report.pipes_text(data), data
  end

  function handlers.stop()
    core.host.raise "stop"
    return common.OK, "stopping", { stopping = true }
  end

  function handlers.reload(options)
    return on_scripts(served, options, function(script)
      return script:reload { evict = options.evict == "yes", force = options.force == "yes" }
    end)
  end

  function handlers.rollback(options)
    return on_scripts(served, options, function(script)
      return script:rollback(math.tointeger(tonumber(options.number)))
    end)
  end

  return handlers
end

-- The pipe ------------------------------------------------------------------------

---The request for a command.
---@param command string
---@param options table<string, string | boolean>
---@return string
function M.request(command, options)
  local lines = { command }
  for name, value in pairs(options) do
    lines[#lines + 1] = name .. "=" .. (value == true and "yes" or value)
  end
  return table.concat(lines, "\n")
end

local function parse(message)
  local command, options = message:match "^[^\n]*", {}
  for name, value in message:gmatch "\n(%w+)=([^\n]*)" do
    options[name] = value
  end
  return command, options
end

---Exit status and text of a reply.
---@param reply string
---@return integer?
---@return string
function M.parse_reply(reply)
  local status, text = reply:match "^(%d+)\n(.*)$"
  return math.tointeger(tonumber(status)), text
end

---Listens for `pipehost ctl`.
---@param name? string
---@param served pipehost.serving
---@param version string
---@return pipehost.server?
---@return string? message
function M.start(name, served, version)
  local handlers = new_handlers(served, version)
  local function answer(_, message)
    local command, options = parse(message)
    local handler = handlers[command]
    if not handler then
      return ("%d\nunknown command '%s'"):format(common.USAGE, command)
    end
    local status, text, data = handler(options)
    if options.json then
      data.status = data.status or status
      text = encode(data)
    end
    return ("%d\n%s"):format(status, text:sub(1, M.LONGEST - 10))
  end
  local ok, result = pcall(server.declare, {
    name = name or PREFIX .. core.host.pid(), mode = "message", first = true, max_message = M.LONGEST,
    on_message = answer,
  })
  if not ok then
    return nil, result
  end
  return result
end

---The control pipes of this user's processes that serve, those with names of
---their own left out.
---@return string[]
function M.all()
  local found = {}
  for _, entry in ipairs(core.list()) do
    found[entry.name:match("^" .. PREFIX:gsub("%-", "%%-") .. "%d+$") or ""] = true
  end
  for _, id in ipairs(core.host.processes()) do
    local name = PREFIX .. id
    local ok, code = pipe.available(name, 0)
    found[(ok or code ~= "absent") and name or ""] = true
  end
  found[""] = nil
  local names = {}
  for name in pairs(found) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

---The control pipe to use: the one named, or the only one there is.
---@return string? name
---@return string? message
function M.find(name)
  if name then
    return name
  end
  local found = M.all()
  if #found == 1 then
    return found[1]
  elseif #found == 0 then
    return nil, "no pipehost is serving for this user (is PIPEHOST_DIR the same?)"
  end
  return nil, "several are serving; name one with --control: " .. table.concat(found, ", ")
end

return M
