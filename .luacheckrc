-- luacheck scripts tests premake5.lua (not ".": Wine's prefix has a link to /)
std = "lua54"
max_line_length = 120

-- Run by premake, which has a Lua of its own and fills the global table.
files["premake5.lua"] = { std = "max", ignore = { "113", "143" } }

-- Test files that are meant to fail, one of them with a syntax error.
exclude_files = { "tests/runner/failing" }

-- Definitions for editors: functions without bodies.
files["scripts/pipehost/meta"] = { ignore = { "211", "212", "241", "631" } }
