-- status: 5
-- error: pipehost: no tests: no function test… is in the tables that the files return
return { helper = function() end, test_number = 1 }
--[[ output:
0 passed, 0 failed
]]
