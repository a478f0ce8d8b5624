-- arguments: --timeout 400
while true do end
--[[ output:
not ok - loop_at_load.lua
  loop_at_load.lua:2: budget: the script computed longer than 200 ms without waiting
      2 | while true do end
seed 1
0 passed, 1 failed
]]
