-- status: 0
require("pipehost.test").skip "needs another system"
--[[ output:
skip - skipped.lua: needs another system
0 passed, 0 failed, 1 skipped
]]
