local tests = {}
function tests.test(
return tests
--[[ output:
not ok - syntax.lua
  syntax.lua:3: <name> or '...' expected near 'return'
      3 | return tests
        | ^
seed 1
0 passed, 1 failed
]]
