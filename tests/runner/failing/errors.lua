-- Each failure has its line, wherever it is raised.
local helper = require "helper"
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local tests = {}

function tests.test_1_an_assertion()
  t.assertEquals(1 + 1, 3)
end

function tests.test_2_an_error()
  error "went wrong"
end

function tests.test_3_an_error_that_is_no_text()
  error { code = 7 }
end

function tests.test_4_in_a_helper()
  helper.fails()
end

function tests.test_5_an_outcome()
  assert(pipe.open("nobody-serves-this", { wait = "no" }))
end

function tests.test_6_in_another_coroutine()
  local task = pipe.spawn(function()
    helper.fails()
  end)
  task:wait()
end

function tests.test_7_bytes()
  t.equal_bytes("abc\0\1\2", "abc\0\3\2")
end

function tests.test_8_never_true()
  t.eventually(function()
    return false
  end, 20)
end

function tests.test_9_exit()
  os.exit(0)
end

function tests.test_skipped()
  t.skip "not today"
end

function tests.test_undoing_fails()
  t.defer(function()
    error "cannot be undone"
  end)
end

return tests
--[[ output:
not ok - errors.lua: test_1_an_assertion
  errors.lua:9: expected: 3, actual: 2
not ok - errors.lua: test_2_an_error
  errors.lua:13: went wrong
not ok - errors.lua: test_3_an_error_that_is_no_text
  errors.lua:17: a table was raised: { code = 7 }
not ok - errors.lua: test_4_in_a_helper
  errors.lua:21: it fails
  stack traceback:
    ./helper.lua:4: in field 'fails'
    errors.lua:21: in field '?'
not ok - errors.lua: test_5_an_outcome
  errors.lua:25: open nobody-serves-this: there is no such pipe (absent, system error 2)
not ok - errors.lua: test_6_in_another_coroutine
  errors.lua:32: ./helper.lua:4: it fails
  raised in another coroutine:
    ./helper.lua:4: in function 'helper.fails'
    errors.lua:30: in function <errors.lua:29>
not ok - errors.lua: test_7_bytes
  errors.lua:36: the bytes differ: 6 were expected, 6 came
            expected                            got
         0  61 62 63 00 03 02       |abc...|    61 62 63 00 01 02       |abc...|
                        ^^                                  ^^  first difference, offset 4
not ok - errors.lua: test_8_never_true
  errors.lua:40: not true within 20 ms
not ok - errors.lua: test_9_exit
  errors.lua:46: os.exit: a test ends by returning
skip - errors.lua: test_skipped: not today
not ok - errors.lua: test_undoing_fails
  errors.lua:55: cannot be undone
seed 1
0 passed, 10 failed, 1 skipped
]]
