-- SPDX-License-Identifier: MIT
-- What scripts have and have not; how their sources are read.
local ends = require "ends"
local lfs = require "lfs"
local t = require "pipehost.test"

local tests = {}

local BINARY = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8"

function tests.test_what_scripts_have_not()
  t.assertNil(string.dump)
  t.assertNil(("").dump)
  t.assertNil(package.loadlib)
  t.assertNil(package.searchers)
  t.assertNil(package.searchpath)
  t.assertNil(debug.sethook)
  t.assertNil(os.setlocale)
  t.assertNil(lfs.chdir)
  t.assertEquals(package.cpath, "")
  t.assertEquals(package.path, "")
end

function tests.test_what_scripts_have()
  for _, name in ipairs { "coroutine", "debug", "io", "math", "os", "string", "table", "utf8" } do
    t.assertIsTable(_G[name], name)
    t.assertTrue(rawequal(require(name), _G[name]), name)
  end
  t.assertEquals(_VERSION, "Lua 5.4")
  t.assertIsFunction(io.open)
  t.assertIsFunction(io.popen)
  t.assertIsFunction(os.getenv)
  t.assertIsFunction(debug.traceback)
  t.assertIsFunction(lfs.attributes)
end

function tests.test_load_takes_text_only()
  for _, mode in ipairs { "b", "bt", "t" } do
    local chunk, message = load(BINARY, "=x", mode)
    t.assertNil(chunk)
    t.assertStrContains(message, "binary")
  end
  t.assertNil((load(BINARY)))
  local given = false
  t.assertNil((load(function()
    if not given then
      given = true
      return BINARY
    end
  end)))
end

function tests.test_load_does_what_it_did()
  t.assertEquals(load "return 1 + 1"(), 2)
  t.assertEquals(load("return x", "=x", "t", { x = 5 })(), 5)
  t.assertErrorMsgContains("nil value", load("return x.y", "=x", "t", {}))
  t.assertErrorMsgContains("nil value", load("return print()", "=x", "t", nil))
  local parts = { "return ", "7" }
  t.assertEquals(load(function()
    return table.remove(parts, 1)
  end)(), 7)
  local chunk, message = load("return +", "=chunk")
  t.assertNil(chunk)
  t.assertStrContains(message, "chunk:1:")
end

function tests.test_loadfile_and_dofile_take_text_only()
  local file <close> = ends.temporary("binary", BINARY)
  local chunk, message = loadfile(file.path)
  t.assertNil(chunk)
  t.assertStrContains(message, "binary")
  t.assertNil((loadfile(file.path, "b")))
  ends.raises("binary", dofile, file.path)
  chunk, message = loadfile(file.path .. ".missing")
  t.assertNil(chunk)
  t.assertStrContains(message, "missing")
end

local sources = {
  plain = "local x = ...\nreturn x, debug.getinfo(1, 'l').currentline",
  bom = "\xEF\xBB\xBFlocal x = ...\nreturn x, debug.getinfo(1, 'l').currentline",
  shebang = "#!/usr/bin/env pipehost\nlocal x = ... return x, debug.getinfo(1, 'l').currentline",
  bom_shebang = "\xEF\xBB\xBF#!x\nlocal x = ... return x, debug.getinfo(1, 'l').currentline",
  crlf = "local x = ...\r\nreturn x, debug.getinfo(1, 'l').currentline\r\n",
  all = "\xEF\xBB\xBF#!x\r\nlocal x = ... return x, debug.getinfo(1, 'l').currentline\r\n",
}

function tests.test_bom_shebang_and_crlf()
  for name, source in pairs(sources) do
    local file <close> = ends.temporary(name .. "", source)
    local chunk = assert(loadfile(file.path))
    t.assertEquals({ chunk "given" }, { "given", 2 }, name)
    t.assertEquals(select(2, dofile(file.path)), 2, name)
  end
end

function tests.test_long_strings_of_crlf_sources()
  local file <close> = ends.temporary("long", "return [[a\r\nb]]\r\n")
  t.assertEquals(dofile(file.path), "a\nb")
end

function tests.test_a_file_may_have_its_own_globals()
  local file <close> = ends.temporary("env", "y = x + 1")
  local env = { x = 1 }
  loadfile(file.path, "t", env)()
  t.assertEquals(env.y, 2)
end

function tests.test_require_reads_such_sources_beside_the_script()
  for _, name in ipairs { "bom_shebang", "crlf", "all" } do
    local file <close> = ends.temporary(name .. "", sources[name])
      local output, status = ends.run(([[
      local first, where = require %q
      print(first, require(%q) == first, where)
      print(package.loaded[%q] == first)
    ]]):format(file.module, file.module, file.module))
    t.assertEquals(status, 0, output)
    t.assertStrMatches(output, ".*" .. name .. "\ttrue\t.*" .. name .. "%.lua\ntrue\n")
  end
end

function tests.test_a_script_itself_may_be_such_a_source()
  for name, source in pairs(sources) do
    local output, status = ends.run(source:gsub("return x, (.-currentline)", "print(%1)"))
    t.assertEquals(status, 0, name .. ": " .. output)
    t.assertEquals(output, "2\n", name)
  end
end

function tests.test_a_module_that_is_not_there()
  local message = ends.raises("module 'no.such.module' not found", require, "no.such.module")
  t.assertStrContains(message, "no/such/module.lua")
  t.assertStrContains(message, "built-in library")
  ends.raises("string", require, 5)
end

function tests.test_a_module_with_an_error()
  local file <close> = ends.temporary("broken", "return {\n!}")
  local output, status = ends.run(("require %q"):format(file.module))
  t.assertEquals(status, 65, output)
  t.assertStrMatches(output, ".*broken%.lua:2:.*")
end

function tests.test_a_module_that_requires_itself()
  local file <close> = ends.temporary("loop", "return require((...))")
  local output, status = ends.run(("require %q"):format(file.module))
  t.assertEquals(status, 65)
  t.assertStrContains(output, "requires itself")
end

function tests.test_a_module_may_wait()
  local file <close> = ends.temporary("waits", [[
    require("pipehost.pipe").sleep(5)
    return "waited"
  ]])
  local output, status = ends.run(("print(require %q)"):format(file.module))
  t.assertEquals(status, 0, output)
  t.assertStrContains(output, "waited")
end

function tests.test_os_exit()
  ends.raises("os.exit", os.exit)
  local _, status = ends.run "require('pipehost.pipe').spawn(os.exit, 7) require('pipehost.pipe').sleep(9000)"
  t.assertEquals(status, 7)
end

function tests.test_the_strings_metatable_is_closed()
  t.assertFalse(getmetatable "")
  t.assertFalse((pcall(setmetatable, "", {})))
end

return tests
