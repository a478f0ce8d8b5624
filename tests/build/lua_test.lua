-- SPDX-License-Identifier: MIT
-- What Lua 5.4.4 to 5.4.7 have wrong, and the build corrects or refuses.
local t = require "pipehost.test"

local upvalue = { [true] = "yes", [false] = "no" }

local tests = {}

function tests.test_index_of_an_upvalue_with_a_comparison()
    local function get(a, b)
        return upvalue[a < b], upvalue[a == b], upvalue[not (a < b)] -- luacheck: ignore 581
    end
    t.assertEquals({ get(1, 2) }, { "yes", "no", "no" })
    t.assertEquals({ get(2, 2) }, { "no", "yes", "yes" })
end

function tests.test_index_of_a_global_with_a_comparison()
    local globals = setmetatable({ flags = upvalue }, { __index = _G })
    local get = load("local a, b = ... return flags[a < b], flags[a > b]", "=x", "t", globals)
    t.assertEquals({ get(1, 2) }, { "yes", "no" })
end

function tests.test_assignment_to_an_index_with_a_comparison()
    local set = {}
    local function put(a, b)
        set[a < b] = "less"
        set[a > b] = "more"
    end
    put(1, 2)
    t.assertEquals(set, { [true] = "less", [false] = "more" })
end

function tests.test_index_of_a_call_with_a_comparison()
    local function get(...)
        local counts = { [true] = 10, [false] = 20 }
        return counts[select("#", ...) > 1] + counts[select("#", ...) > 5]
    end
    t.assertEquals(get(1, 2, 3), 30)
end

local function deep(n)
    if n > 0 then
        return deep(n - 1) + 1
    end
    return 0
end

function tests.test_concat_metamethod_that_moves_the_stack()
    local object = setmetatable({}, {
        __concat = function()
            deep(9000)
            return "X"
        end,
    })
    local first = coroutine.wrap(function()
        return "a" .. "b" .. object .. "c", object .. "d" .. "e"
    end)
    t.assertEquals({ first() }, { "abX", "X" })
    local second = coroutine.wrap(function(a, b, c)
        return object .. a .. b .. c
    end)
    t.assertEquals(second("1", "2", "3"), "X")
end

function tests.test_break_closes_the_value_of_a_for_loop()
    local closed = 0
    local function each()
        local guard = setmetatable({}, {
            __close = function()
                closed = closed + 1
            end,
        })
        return function(_, i)
            return (i or 0) + 1
        end, nil, nil, guard
    end
    local seen
    for i in each() do -- luacheck: ignore 512
        local function capture()
            return i
        end
        seen = capture()
        break
    end
    t.assertEquals(seen, 1)
    t.assertEquals(closed, 1)
end

function tests.test_constants_of_bitwise_operators()
    local mask <const> = 3
    local function low(n)
        return n & mask, n | 0x10, n ~ 1
    end
    t.assertEquals({ low(7) }, { 3, 0x17, 6 })
end

function tests.test_version()
    t.assertEquals(_VERSION, "Lua 5.4")
end

return tests
