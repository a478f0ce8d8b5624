-- SPDX-License-Identifier: MIT
-- The names that the definitions for editors have (scripts/pipehost/meta), each
-- with its parameters; and whether their annotations fit together.
local M = {}

local BUILTIN = {}
for name in ("any boolean function integer nil number string table self true false fun T"):gmatch "%a+" do
  BUILTIN[name] = true
end

local function fail(file, number, message)
  error(("%s:%d: %s"):format(file, number, message), 0)
end

-- Annotations of the block of lines that is being read.
local function new_block()
  return { params = {} }
end

local function read_annotation(state, block, tag, rest, number)
  if tag == "class" then
    local name, parent = rest:match "^([%w_.]+)%s*:?%s*([%w_.]*)"
    block.class = state.classes[name] or { name = name, fields = {} }
    block.class.parent = parent ~= "" and parent or block.class.parent
    state.classes[name] = block.class
    state.class = block.class
  elseif tag == "alias" then
    state.aliases[rest:match "^[%w_.]+"] = true
  elseif tag == "field" then
    local name, type_text = rest:match "^([%w_%[%]]+)%??%s+(.*)$"
    if not name or not state.class then
      fail(state.file, number, "a field without name, type or class")
    end
    if not name:find "%[" then
      state.class.fields[name] = type_text
    end
  elseif tag == "param" then
    block.params[#block.params + 1] = rest:match "^([%w_.]+)%??%s" or fail(state.file, number, "a param without type")
  end
  if tag == "field" or tag == "param" or tag == "return" then
    state.texts[#state.texts + 1] = { text = rest, tag = tag, number = number, file = state.file }
  end
end

local function read_function(state, block, name, parameters, number)
  local listed = table.concat(block.params, ", ")
  if listed ~= parameters then
    fail(state.file, number, ("%s(%s): its params are (%s)"):format(name, parameters, listed))
  end
  state.names[name] = parameters
end

local function read_line(state, block, line, number)
  local tag, rest = line:match "^%-%-%-@(%a+)%s*(.*)$"
  if tag then
    read_annotation(state, block, tag, rest, number)
    return block
  elseif line:match "^%-%-%-" then
    return block
  end
  local variable = line:match "^local ([%w_]+) = {}"
  if variable then
    if not block.class then
      fail(state.file, number, "a table without class")
    end
    block.class.variable = variable
  end
  local name, parameters = line:match "^function ([%w_.:]+)%((.-)%) end$"
  if name then
    read_function(state, block, name, parameters, number)
  end
  return new_block()
end

-- The words of a type that are to be known: not names of parameters and fields,
-- nor texts, nor what stands after the type.
local function check_types(state, entry)
  local text = entry.text:gsub('"[^"]*"', "string"):gsub("#.*$", ""):gsub("[%w_]+%??:", "")
  if entry.tag == "field" or entry.tag == "param" then
    text = text:gsub("^[%w_.%[%]]+%??%s+", "")
  end
  -- The type ends at the first blank that is not inside brackets or after | , :
  local depth, out = 0, {}
  for part in text:gsub("%s*([|,])%s*", "%1"):gsub("%)%s*:%s*", "):"):gmatch "%S+" do
    out[#out + 1] = part
    depth = depth + select(2, part:gsub("[%(%[{<]", "")) - select(2, part:gsub("[%)%]}>]", ""))
    if depth == 0 then
      break
    end
  end
  for word in table.concat(out, " "):gmatch "[%a_][%w_.]*" do
    if not BUILTIN[word] and not state.classes[word] and not state.aliases[word] then
      fail(entry.file, entry.number, ("unknown type '%s' in: %s"):format(word, entry.text))
    end
  end
end

local function fields_of(state, class)
  local fields = {}
  local parent = class.parent and state.classes[class.parent]
  for name, type_text in pairs(parent and fields_of(state, parent) or {}) do
    fields[name] = type_text
  end
  for name, type_text in pairs(class.fields) do
    fields[name] = type_text
  end
  return fields
end

-- "pipehost.server.options" -> "pipehost.server"; of pipe.open and steps.send
-- the functions' names begin with the module's.
local function add_options(state, class)
  local owner = class.name:match "^(.*)%.options$"
  if not owner then
    return
  end
  for _, module in ipairs { "pipe", "steps" } do
    owner = owner:gsub("^pipehost%.(" .. module .. "%.)", "%1")
  end
  local base, option = owner:match "^(pipehost%.%w+)%.(%w+)$"
  for name in pairs(fields_of(state, class)) do
    state.names[("%s{%s%s}"):format(base or owner, option and option .. "." or "", name)] = ""
  end
end

---@param files table<string, string> name -> text
---@return table<string, string> name -> parameters
function M.names(files)
  local state = { names = {}, classes = {}, aliases = {}, texts = {} }
  for file, text in pairs(files) do
    state.file = file
    local block, number = new_block(), 0
    for line in text:gmatch "([^\n]*)\n" do
      number = number + 1
      block = read_line(state, block, line, number)
    end
  end
  for _, class in pairs(state.classes) do
    for name in pairs(class.variable and class.fields or {}) do
      state.names[class.variable .. "." .. name] = ""
    end
    add_options(state, class)
  end
  for _, entry in ipairs(state.texts) do
    check_types(state, entry)
  end
  return state.names
end

return M
