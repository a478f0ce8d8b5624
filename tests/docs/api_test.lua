-- SPDX-License-Identifier: MIT
-- What scripts really have, what docs/reference.md says of it, and what the
-- definitions for editors know are the same.
local core = require "pipehost.core"
local meta = require "api_meta"
local reference = require "api_reference"
local runtime = require "api_runtime"
local t = require "pipehost.test"

local tests = {}

local FOLDER = "pipehost/meta/"

local function read(path)
  local file <close> = assert(io.open(os.getenv "PH_ROOT" .. "/" .. path, "rb"))
  return (file:read("a"):gsub("\r\n", "\n"))
end

local function definitions()
  local files = {}
  for _, name in ipairs(core.library_names()) do
    if name:sub(1, #FOLDER) == FOLDER then
      files[name] = read("scripts/" .. name)
    end
  end
  return files
end

-- The reference has all of luaunit's assertions in one row.
local function without_assertions(names)
  local kept = {}
  for name, parameters in pairs(names) do
    if not name:match "^t%.assert" then
      kept[name] = parameters
    end
  end
  return kept
end

-- The names that only one has, and functions whose parameters differ.
local function differences(a, a_name, b, b_name)
  local lines = {}
  for name, parameters in pairs(a) do
    if b[name] == nil then
      lines[#lines + 1] = ("%s: in %s, not in %s"):format(name, a_name, b_name)
    elseif parameters and b[name] and parameters ~= b[name] then
      lines[#lines + 1] = ("%s: (%s) in %s, (%s) in %s"):format(name, parameters, a_name, b[name], b_name)
    end
  end
  for name in pairs(b) do
    if a[name] == nil then
      lines[#lines + 1] = ("%s: in %s, not in %s"):format(name, b_name, a_name)
    end
  end
  table.sort(lines)
  return lines
end

local function same(...)
  local lines = differences(...)
  t.assertEquals(#lines, 0, table.concat(lines, "\n"))
end

function tests.test_the_definitions_have_what_scripts_have()
  same(runtime.names(), "the program", meta.names(definitions()), "scripts/pipehost/meta")
end

function tests.test_the_reference_has_what_scripts_have()
  same(without_assertions(runtime.names()), "the program", reference.names(read "docs/reference.md"),
    "docs/reference.md")
end

-- Its options and assertions are left to the reference.
function tests.test_the_readme_names_all_calls()
  local calls = {}
  for name, parameters in pairs(without_assertions(runtime.names())) do
    if not name:find "{" then
      calls[name] = parameters
    end
  end
  same(calls, "the program", reference.names(read "README.md"), "README.md")
end

function tests.test_the_definitions_have_the_parameters_of_the_reference()
  same(without_assertions(meta.names(definitions())), "scripts/pipehost/meta",
    reference.names(read "docs/reference.md"), "docs/reference.md")
end

function tests.test_the_definitions_are_lua_and_built_in()
  for name, text in pairs(definitions()) do
    t.assertNotNil(load(text, "@" .. name))
    t.assertEquals(core.library_text(name):gsub("\r\n", "\n"), text, name)
  end
end

return tests
