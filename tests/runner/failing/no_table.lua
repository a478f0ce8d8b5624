return 42
--[[ output:
not ok - no_table.lua
  no_table.lua: a test file returns a table of its tests, this one returned a number
seed 1
0 passed, 1 failed
]]
