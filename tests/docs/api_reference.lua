-- SPDX-License-Identifier: MIT
-- The names that docs/reference.md has, each with its parameters.
--
-- A heading "### pipe.open(name, options)" names a function. A table whose first
-- column is headed "call", "method" or "field" names what is in backticks in
-- that column. One headed "option" names the options of the heading's function, if
-- the heading has one;
-- a column headed "options", those of its row's function.
local M = {}

local function cells_of(line)
  local cells = {}
  -- A | in a cell is written \|.
  for cell in line:gsub("\\|", "\0"):gmatch "|([^|]*)" do
    cells[#cells + 1] = cell:gsub("%z", "|"):match "^%s*(.-)%s*$"
  end
  return cells
end

local function codes_of(text)
  return text:gmatch "`([^`]+)`"
end

-- "pipe.open(name, options)" -> "pipe.open", "name, options"
local function split(code)
  local name, parameters = code:match "^([%a_][%w_.:]*)%((.*)%)$"
  return (name or code):gsub("^pipehost%.(log%.)", "%1"):gsub("^pipehost%.(steps%.)", "%1"), parameters or ""
end

local function add(names, code)
  local name, parameters = split(code)
  names[name] = parameters:gsub("…", "...")
  return name
end

local function add_row(names, columns, cells, owner)
  local kind = columns[1]
  if kind == "option" and owner then
    for name in codes_of(cells[1]) do
      names[("%s{%s}"):format(owner, name)] = ""
    end
  elseif kind == "call" or kind == "method" or kind == "field" then
    for code in codes_of(cells[1]) do
      local name = add(names, code)
      for option in codes_of(columns[2] == "options" and cells[2] or "") do
        names[("%s{%s}"):format(name, option)] = ""
      end
    end
  end
end

---@param text string
---@return table<string, string> name -> parameters
function M.names(text)
  local names, owner, columns = {}, nil, nil
  for line in text:gmatch "[^\n]*" do
    local heading = line:match "^#+ (.*)"
    if heading then
      owner = heading:find "%(" and add(names, heading) or nil
    end
    if line:sub(1, 1) ~= "|" then
      columns = nil
    elseif not columns then
      columns = cells_of(line)
    elseif not line:match "^|%-" then
      add_row(names, columns, cells_of(line), owner)
    end
  end
  return names
end

return M
