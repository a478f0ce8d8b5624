-- arguments: --fail-fast
local tests = {}

function tests.test_1() end

function tests.test_2()
  error "the first one"
end

function tests.test_3() end

function tests.test_4() end

return tests
--[[ output:
ok - fail_fast.lua: test_1
not ok - fail_fast.lua: test_2
  fail_fast.lua:7: the first one
a test has failed (--fail-fast); not run: 2 tests of files that were begun
seed 1
1 passed, 1 failed
]]
