-- SPDX-License-Identifier: MIT
-- The built-in library goes in compiled, with its names and lines.
local t = require "pipehost.test"
local core = require "pipehost.core"

local BYTECODE = "^\27Lua"

local tests = {}

function tests.test_modules_are_compiled_and_texts_are_text()
  local modules = 0
  for _, name in ipairs(core.library_names()) do
    local content = core.library_text(name)
    local text = name:match "^licenses/" or name:match "^pipehost/meta/" or name:match "^pipehost/template/"
    t.assertEquals(content:find(BYTECODE) == nil, text ~= nil, name)
    modules = modules + (text and 0 or 1)
  end
  t.assertTrue(modules > 50)
end

function tests.test_every_module_loads_here()
  for _, name in ipairs(core.library_names()) do
    if core.library_text(name):find(BYTECODE) then
      local at = debug.getinfo(core.library_load(name), "SL")
      t.assertEquals(at.source, "@" .. name)
      t.assertNotNil(next(at.activelines), name)
    end
  end
end

function tests.test_what_is_not_there()
  t.assertNil(core.library_load "pipehost/nothing.lua")
  t.assertNil(core.library_text "pipehost/nothing.lua")
  t.assertNil(core.library_text "")
  t.assertNil(core.library_text "zzz")
end

return tests
