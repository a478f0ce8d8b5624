---@meta pipehost.test
-- SPDX-License-Identifier: MIT

---The assertions are luaunit's; `message` is put before what they say.
---@class pipehost.test
---@field system "linux" | "windows"
---@field folder string where the test file lies
---@field program string the pipehost that runs the test
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

---Has fn called when the test ends, however it ends; the last one first.
---@param fn fun()
function t.defer(fn) end

---A new empty folder, which goes with the test.
---@return string path
function t.tmpdir() end

---A new folder with these files, name -> text, which goes with the test.
---@param texts table<string, string>
---@return string path of the folder
function t.files(texts) end

---Where a script is served: in the process of the test, or in a child.
---@class pipehost.test.script_server
---@field path string
---@field program? pipehost.test.program the child
local script_server = {}

---Ends it, and waits until it has ended; clients have ms to finish.
---@param ms? number
function script_server:stop(ms) end

---A server that plays steps with each of its clients. What differs fails the test.
---@class pipehost.test.mock
---@field name string of the pipe
---@field captures? table of the last client that has gone through all steps
---@field done integer clients that have
local mock = {}

---Waits until a client has gone through all steps; raises what differed.
---@param ms? number 5000
---@return table captures
function mock:wait(ms) end

---@class pipehost.test.script_options
---@field child? boolean a `pipehost` of its own
---@field names? table<string, string> pipes under other names than the script says
---@field set? table<string, string | number> pipehost.config
---@field path? string | string[] folders where require looks too
---@field faults? table<string, pipehost.fault_plan> on the script's pipes
---@field arguments? string[] of a client: its `...`

---A server that ends with the test: of a script (from the test file's folder), of
---the options of pipehost.server, or of `steps`, which are played with each client.
---@overload fun(options: pipehost.server_options): pipehost.server | pipehost.test.mock
---@param what string the script
---@param options? pipehost.test.script_options
---@return pipehost.test.script_server
function t.server(what, options) end

---A client: of a script, which is run, or of the options of pipehost.handshake,
---whose steps are played at once; what differs fails the test.
---@overload fun(options: pipehost.handshake_options): table
---@param what string the script
---@param options? pipehost.test.script_options
---@return pipehost.test.run | pipehost.test.program
function t.client(what, options) end

---A client's script that is run in the process of the test.
---@class pipehost.test.run
local script_run = {}

---@param ms? number
---@return integer? status as `pipehost run` would exit with
---@return string? message of what went wrong, or "pending"
function script_run:wait(ms) end

---Makes a new generation of a script that t.server serves.
---@param server pipehost.test.script_server
---@return string? done nil where it was refused
---@return string? message
function t.reload(server) end

---What a program prints, as text: line ends are "\n" on both systems.
---@class pipehost.test.output
---@field text string all so far
---@field ended boolean
local output = {}

---Waits until what comes after the last match has the pattern; raises otherwise.
---@param pattern string of Lua
---@param ms? number 5000
---@return string ... captures, or what matched
function output:expect(pattern, ms) end

---A program that a test has started. It ends with the test, and so does all that
---it has started in turn.
---@class pipehost.test.program
---@field pid integer
---@field stdin pipehost.pipe
---@field stdout pipehost.test.output
---@field stderr? pipehost.test.output
local program = {}

---The same as program.stdout:expect.
---@param pattern string of Lua
---@param ms? number 5000
---@return string ... captures, or what matched
function program:expect(pattern, ms) end

---Waits for its end, and for the rest of its output.
---@param ms? number
---@return integer? status 128 + signal where a signal has ended it
---@return integer | string? signal, or "pending"
function program:wait(ms) end

---Asks for its end, and that of all that it has started.
function program:kill() end

---@class pipehost.test.spawn_options
---@field [integer] string the program, and its arguments
---@field env? table<string, string | false> changes to this process's; false removes
---@field cwd? string
---@field stdin? "pipe" | "null" | "inherit"
---@field stderr? "pipe" | "null" | "inherit" | "stdout"

---Starts a program.
---@param options pipehost.test.spawn_options
---@return pipehost.test.program?
---@return string? code
---@return pipehost.info? info
function t.spawn(options) end

---Waits until no other test of this run has the name, and keeps it to the test's
---end. Fails at once when somebody outside of the run serves a pipe of that name.
---@param name string
function t.exclusive(name) end

---Faults on the ends of a pipe that this process opens or serves from now on, to the
---end of the test.
---@param name string the pipe
---@param plan pipehost.fault_plan
---@return pipehost.faults
function t.faults(name, plan) end

---@class pipehost.test.exhaust_options
---@field name? string instead of a fresh one for each round
---@field side? "client" | "server"
---@field on? pipehost.fault_lane | pipehost.fault_lane[] only these operations
---@field code? string what they fail with ("closed")
---@field most? integer rounds (1000)

---Calls fn(name) again and again: with the 1st operation on that pipe failing, with
---the 2nd, the 3rd …, until none fails. What fn raises fails the test, with the
---number of the operation.
---@param fn fun(name: string)
---@param options? pipehost.test.exhaust_options
---@return integer count of operations that failed in their turn
function t.exhaust(fn, options) end

return t
