-- SPDX-License-Identifier: MIT
-- The pipes that somebody serves: what the system tells of them, and what
-- serving pipehosts say of theirs.
local common = require "pipehost.command.common"
local control = require "pipehost.control"
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"

local M = {}

local ANSWER_MS = 2000

function M.options(parser)
  local command = parser:command("list", "List the pipes that are served.")
  command:argument("text", "Only pipes with TEXT in their names."):args("?")
  command:flag("--json", "As JSON: a list of objects.")
end

-- Under its folded name, since Linux knows no other.
local function add(found, entry)
  local key = entry.name:lower()
  local known = found[key] or {}
  for name, value in pairs(entry) do
    known[name] = value
  end
  found[key] = known
end

local PIPE_LINE = "^([^\t]*)\t([^\t]*)\t(%d+)\t(%d*)\t(%d+)\t(.*)$"

local function add_answer(found, answer)
  local pid = tonumber(answer:match "^%d+")
  for line in answer:gmatch "\n([^\n]*)" do
    local name, mode, instances, most, generation, script = line:match(PIPE_LINE)
    add(found, {
      name = name, mode = mode, instances = tonumber(instances), max_instances = tonumber(most),
      generation = tonumber(generation), script = script, pid = pid,
    })
  end
end

local function find(text)
  local found, list = {}, {}
  for _, entry in ipairs(core.list()) do
    add(found, entry)
  end
  for _, name in ipairs(control.all()) do
    add(found, { name = name, mode = "message", pid = tonumber(name:match "%d+$") })
    local reply = pipe.call(name, control.request("pipes", {}), {
      timeout = ANSWER_MS, wait = "free", max_message = control.LONGEST,
    })
    -- One of another version may not know the command.
    local status, answer = control.parse_reply(reply or "")
    if status == common.OK then
      add_answer(found, answer)
    end
  end
  for _, entry in pairs(found) do
    if entry.name:lower():find((text or ""):lower(), 1, true) then
      list[#list + 1] = entry
    end
  end
  table.sort(list, function(a, b)
    return a.name:lower() < b.name:lower()
  end)
  return list
end

-- Text --------------------------------------------------------------------------

local function instances(entry)
  if not entry.instances then
    return ""
  end
  return entry.max_instances and ("%d of %d"):format(entry.instances, entry.max_instances)
    or tostring(entry.instances)
end

local function owner(entry)
  local parts = {}
  for _, key in ipairs { "pid", "uid" } do
    parts[#parts + 1] = entry[key] and ("%s %d"):format(key, entry[key])
  end
  return table.concat(parts, " ")
end

local function script(entry)
  return entry.script and ("%s, generation %d"):format(entry.script, entry.generation) or ""
end

local function rows(list)
  local out = { { "PIPE", "MODE", "INSTANCES", "OWNER", "SCRIPT" } }
  for _, entry in ipairs(list) do
    out[#out + 1] = { entry.name, entry.mode or "", instances(entry), owner(entry), script(entry) }
  end
  return out
end

local function print_table(lines)
  local widths = {}
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell)
    end
  end
  for _, line in ipairs(lines) do
    local cells = {}
    for i, cell in ipairs(line) do
      cells[i] = cell .. (" "):rep(widths[i] - (utf8.len(cell) or #cell))
    end
    print((table.concat(cells, "  "):gsub(" +$", "")))
  end
end

function M.main(args)
  local list = find(args.text)
  if args.json then
    print(require "pipehost.json"(list))
  elseif #list > 0 then
    print_table(rows(list))
  else
    common.complain "no pipe is served here"
  end
  return common.OK
end

return M
