-- status: 5
return { helper = function() end, test_number = 1 }
--[[ output:
0 passed, 0 failed
]]
