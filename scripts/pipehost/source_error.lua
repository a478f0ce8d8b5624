-- SPDX-License-Identifier: MIT
-- An error with the line of source that it is about, and a caret:
--
--   server.lua:12: unexpected symbol near '='
--      12 | local x = = 1
--         |           ^
local M = {}

local LONGEST_LINE = 200 -- bytes; nobody reads a longer one
local MOST_TRIES = 50 -- places on one line that are tried by compiling
local OPTION_LINES = 60 -- how far an option may be from the call's first line

-- As the compiler counts lines: see load_source of prelude.lua.
local function normal(text)
  return (text:gsub("^\xEF\xBB\xBF", ""):gsub("\r\n?", "\n"):gsub("^#[^\n]*", ""))
end

-- The n-th line, and where it begins in the text.
local function line_of(text, n)
  local from = 1
  for _ = 2, n do
    local at = text:find("\n", from, true)
    if not at then
      return nil
    end
    from = at + 1
  end
  return text:match("[^\n]*", from), from
end

-- Lua shortens long paths to "...tail".
local function source_of(path, sources)
  local tail = path:match("^%.%.%.(.+)$")
  for name, text in pairs(sources) do
    if text and (name == path or tail and name:sub(-#tail) == tail) then
      return normal(text)
    end
  end
end

-- The only place of a text in the line; of a name, as a whole word.
local function only_column(line, text)
  local pattern = text:gsub("%W", "%%%0")
  if text:find "^[%w_]+$" then
    pattern = "%f[%w_]" .. pattern .. "%f[^%w_]"
  end
  local column, stop = line:find(pattern)
  return column and not line:find(pattern, stop + 1) and column or nil
end

-- Where the token stands that the compiler stopped at. It may be there more
-- than once: the text up to the right place gives the same error.
local function syntax_column(text, from, line, complaint, token)
  token = token:match("[^\n]*"):gsub("^<\\(%d+)>$", function(byte)
    return string.char(tonumber(byte))
  end)
  local column, stop = line:find(token, 1, true)
  for _ = 1, MOST_TRIES do
    if not column then
      break
    end
    local _, message = load(text:sub(1, from + stop - 1), "=s", "t")
    if message and message:match("^s:%d+: (.*)$") == complaint then
      return column
    end
    column, stop = line:find(token, stop + 1, true)
  end
  return only_column(line, token)
end

-- An option may be some lines below the call that complains of it.
local function option_place(text, n, name)
  for i = n, n + OPTION_LINES do
    local line = line_of(text, i)
    if not line then
      return nil
    end
    local column = line:match("%f[%w_]()" .. name .. "%s*=[^=]")
    if column then
      return i, column
    end
  end
end

-- The line and column that a complaint about line n is of.
local function place(text, n, complaint)
  local line, from = line_of(text, n)
  if not line then
    return nil
  end
  local token = complaint:match " near '(.*)'$"
  if token then
    return n, syntax_column(text, from, line, complaint, token)
  elseif complaint:match " near <eof>$" then
    return n, #line + 1
  end
  local option = complaint:match "option '([%a_][%w_]*)'"
  if option then
    local at, column = option_place(text, n, option)
    return at or n, column
  end
  local name = complaint:match "%(%a+ '([%a_][%w_]*)'%)" or complaint:match "'([%a_][%w_]*)'"
  return n, name and only_column(line, name)
end

-- The line and, under its column, a caret.
local function excerpt(text, n, column, colour)
  local line = line_of(text, n)
  if #line > LONGEST_LINE or not line:find "%S" then
    return ""
  end
  local shown = ("\n%5d | %s"):format(n, (line:gsub("[^%C\t]", "?")))
  if not column then
    return shown
  end
  -- Tabs stay, so that the caret stands under its character.
  local before = line:sub(1, column - 1):gsub("[\x80-\xBF]", ""):gsub("[^\t]", " ")
  local caret = colour and "\27[1;31m^\27[0m" or "^"
  return ("%s\n      | %s%s"):format(shown, before, caret)
end

---Adds the lines that an error is about, where it begins with a place in one of
---the sources; a traceback stays behind them.
---@param message string as Lua gives it: "server.lua:12: … near 'x'"
---@param sources table<string, string | false> path -> text, as they were loaded
---@param colour? boolean for a terminal
---@return string
function M.explain(message, sources, colour)
  local traceback = message:match "\nstack traceback:.*$" or ""
  local head = message:sub(1, #message - #traceback)
  local path, number, complaint = head:match "^(.-):(%d*[1-9]%d*): (.*)$"
  local text = path and source_of(path, sources)
  if not text then
    return message
  end
  local shown = ""
  -- What is not closed is as telling as where that was seen.
  local opener, opened = complaint:match "%(to close '(.-)' at line (%d+)%)"
  opened = tonumber(opened)
  if opened then
    shown = excerpt(text, opened, only_column(line_of(text, opened), opener), colour)
  end
  local n, column = place(text, tonumber(number), complaint)
  if n and n ~= opened then
    shown = shown .. excerpt(text, n, column, colour)
  end
  return head .. shown .. traceback
end

---Adds where the module that failed was required from, a line for each, before
---the traceback.
---@param message string
---@param failure? { message: string, places: string[] } the last one that a `require` had
---@return string
function M.required_from(message, failure)
  local first = failure and failure.message:match "^[^\n]*"
  if not first or message:sub(1, #first) ~= first then
    return message
  end
  local traceback = message:match "\nstack traceback:.*$" or ""
  local lines = { message:sub(1, #message - #traceback) }
  for _, at in ipairs(failure.places) do
    -- A module that is not there: the error has that place already.
    if first:sub(1, #at + 1) ~= at .. ":" and lines[#lines] ~= "required from " .. at then
      lines[#lines + 1] = "required from " .. at
    end
  end
  return table.concat(lines, "\n") .. traceback
end

---The same, with the file as it is now.
---@param message string
---@return string
function M.explain_file(message)
  local path = message:match "^(.-):%d+: "
  local file <close> = path and io.open(path, "rb") or nil
  local text = file and file:read "a"
  return text and M.explain(message, { [path] = text }) or message
end

return M
