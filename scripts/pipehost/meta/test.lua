---@meta pipehost.test
-- SPDX-License-Identifier: MIT

---The assertions are luaunit's; `message` is put before what they say.
---@class pipehost.test
---@field system "linux" | "windows"
---@field assertAlmostEquals fun(actual: any, expected: any, margin: number, message?: string)
---@field assertBoolean fun(value: any, message?: string)
---@field assertCoroutine fun(value: any, message?: string)
---@field assertEquals fun(actual: any, expected: any, message?: string)
---@field assertError fun(f: fun(...), ...: any)
---@field assertErrorMsgContains fun(partialMsg: string, func: fun(...), ...: any)
---@field assertErrorMsgContentEquals fun(expectedMsg: any, func: fun(...), ...: any)
---@field assertErrorMsgEquals fun(expectedMsg: any, func: fun(...), ...: any)
---@field assertErrorMsgMatches fun(expectedMsg: any, func: fun(...), ...: any)
---@field assertEvalToFalse fun(value: any, message?: string)
---@field assertEvalToTrue fun(value: any, message?: string)
---@field assertFalse fun(value: any, message?: string)
---@field assertFunction fun(value: any, message?: string)
---@field assertInf fun(value: any, message?: string)
---@field assertIs fun(actual: any, expected: any, message?: string)
---@field assertItemsEquals fun(actual: any, expected: any, message?: string)
---@field assertMinusInf fun(value: any, message?: string)
---@field assertMinusZero fun(value: any, message?: string)
---@field assertNaN fun(value: any, message?: string)
---@field assertNil fun(value: any, message?: string)
---@field assertNotAlmostEquals fun(actual: any, expected: any, margin: number, message?: string)
---@field assertNotBoolean fun(value: any, message?: string)
---@field assertNotCoroutine fun(value: any, message?: string)
---@field assertNotEquals fun(actual: any, expected: any, message?: string)
---@field assertNotFalse fun(value: any, message?: string)
---@field assertNotFunction fun(value: any, message?: string)
---@field assertNotInf fun(value: any, message?: string)
---@field assertNotIs fun(actual: any, expected: any, message?: string)
---@field assertNotMinusInf fun(value: any, message?: string)
---@field assertNotMinusZero fun(value: any, message?: string)
---@field assertNotNaN fun(value: any, message?: string)
---@field assertNotNil fun(value: any, message?: string)
---@field assertNotNumber fun(value: any, message?: string)
---@field assertNotPlusInf fun(value: any, message?: string)
---@field assertNotPlusZero fun(value: any, message?: string)
---@field assertNotStrContains fun(str: string, sub: string, isPattern?: boolean, message?: string)
---@field assertNotStrIContains fun(str: string, sub: string, message?: string)
---@field assertNotString fun(value: any, message?: string)
---@field assertNotTable fun(value: any, message?: string)
---@field assertNotTableContains fun(t: table, expected: any, message?: string)
---@field assertNotThread fun(value: any, message?: string)
---@field assertNotTrue fun(value: any, message?: string)
---@field assertNotUserdata fun(value: any, message?: string)
---@field assertNumber fun(value: any, message?: string)
---@field assertPlusInf fun(value: any, message?: string)
---@field assertPlusZero fun(value: any, message?: string)
---@field assertStrContains fun(str: string, sub: string, isPattern?: boolean, message?: string)
---@field assertStrIContains fun(str: string, sub: string, message?: string)
---@field assertStrMatches fun(str: string, pattern: string, start?: integer, final?: integer, message?: string)
---@field assertString fun(value: any, message?: string)
---@field assertTable fun(value: any, message?: string)
---@field assertTableContains fun(t: table, expected: any, message?: string)
---@field assertThread fun(value: any, message?: string)
---@field assertTrue fun(value: any, message?: string)
---@field assertUserdata fun(value: any, message?: string)
local t = {}

---A fresh pipe name.
---@return string
function t.name() end

---Ends the test as skipped.
---@param reason string
function t.skip(reason) end

---Raises with both in hex when they differ.
---@param got string
---@param expected string
function t.equal_bytes(got, expected) end

---Calls fn every 5 ms until it gives something true; raises after ms (2000).
---@generic T
---@param fn fun(): T
---@param ms? number
---@return T
function t.eventually(fn, ms) end

return t
