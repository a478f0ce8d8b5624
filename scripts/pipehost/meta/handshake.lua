---@meta _
-- SPDX-License-Identifier: MIT

---@class pipehost
local pipehost = {}

---@class pipehost.handshake.retry.options
---@field times? number further tries, 0; math.huge with a deadline
---@field backoff? number ms before the first of them, 200
---@field factor? number of each further pause to the one before, 2
---@field max_backoff? number ms of the longest pause, 10000
---@field on? pipehost.code | pipehost.code[] what is tried again; absent, busy, timeout

---@class pipehost.handshake.options
---@field pipe string its name
---@field steps pipehost.steps.list
---@field timeout? number ms for the open and for each step
---@field deadline? number ms for everything, further tries included
---@field retry? pipehost.handshake.retry.options
---@field mode? pipehost.mode
---@field wait? "exists" | "free" | "no"
---@field peer? "user" | "any"
---@field max_message? integer
---@field frame? pipehost.frame of a byte pipe
---@field trace? fun(direction: ">" | "<", bytes: string) for each message

---@class pipehost.handshake.place
---@field index integer in the list; 0: the open
---@field name string the names of the lists around and of the step, with ": " between
---@field path? string all places, as "2.1"
---@field where? string file and line

---@class pipehost.handshake.event
---@field kind "open" | ">" | "<" | "close" | "closed"
---@field ms number since the begin
---@field bytes? string
---@field step? string its path

---Opens the pipe and plays the steps.
---@param options pipehost.handshake.options
---@return table<string, any>? captures
---@return pipehost.handshake.event[] | pipehost.code transcript
---@return pipehost.info? info
function pipehost.handshake(options) end

---@class pipehost.play.options
---@field timeout? number ms for each step
---@field deadline? number ms for everything
---@field trace? fun(direction: ">" | "<", bytes: string)
---@field captures? table<string, any> to begin with

---Plays steps on an open pipe, which stays open.
---@param conn pipehost.pipe
---@param list pipehost.steps.list
---@param options? pipehost.play.options
---@return table<string, any>? captures
---@return pipehost.handshake.event[] | pipehost.code transcript
---@return pipehost.info? info
function pipehost.play(conn, list, options) end

---Opens the pipe, calls fn with it and closes it whatever happens.
---@param name string
---@param options pipehost.pipe.open.options
---@param fn fun(pipe: pipehost.pipe): ...
---@return any ... what fn returned
function pipehost.client(name, options, fn) end

---@class pipehost.step

---Lists in it are played in their place.
---@class pipehost.steps.list
---@field [integer] pipehost.step | pipehost.steps.list
---@field name? string before the names of its steps
---@field deadline? number ms for all of them

---@class pipehost.matcher

---What can be expected: these bytes, a struct, steps.pattern, steps.line,
---steps.bytes, steps.any_of, or a function that gives true, the value, or nil and
---why not.
---@alias pipehost.expected string | pipehost.struct | pipehost.matcher | pipehost.step | fun(data: string, captures: table<string, any>): any, string?

---@class pipehost.steps
local steps = {}

---@class pipehost.steps.send.options
---@field name? string for errors
---@field timeout? number ms

---Sends one message; on a byte pipe, these bytes.
---@param data pipehost.struct
---@param values table | fun(captures: table<string, any>): table
---@param options? pipehost.steps.send.options
---@return pipehost.step
---@overload fun(data: string | fun(captures: table<string, any>): string, options?: pipehost.steps.send.options): pipehost.step
function steps.send(data, values, options) end

---@class pipehost.steps.expect.options
---@field name? string for errors
---@field timeout? number ms
---@field as? string names the capture
---@field fields? table<string, any> values that a struct's fields are to have

---Receives one message, which is to be this.
---@param what pipehost.expected
---@param options? pipehost.steps.expect.options
---@return pipehost.step
function steps.expect(what, options) end

---@class pipehost.steps.any_of.options
---@field name? string for errors
---@field timeout? number ms
---@field as? string names the capture

---The first that matches; a step, or for expect.
---@param alternatives pipehost.expected[]
---@param options? pipehost.steps.any_of.options
---@return pipehost.step
function steps.any_of(alternatives, options) end

---@class pipehost.steps.expect_close.options
---@field name? string for errors
---@field timeout? number ms

---Until the other end closes.
---@param options? pipehost.steps.expect_close.options
---@return pipehost.step
function steps.expect_close(options) end

---For expect: a pattern of Lua. With names its captures are a table of these.
---@param pattern string
---@param names? string[]
---@return pipehost.matcher
function steps.pattern(pattern, names) end

---For expect on a byte pipe: a line without its end.
---@param what? pipehost.expected
---@return pipehost.matcher
function steps.line(what) end

---For expect: so many bytes.
---@param count integer
---@param what? pipehost.expected
---@return pipehost.matcher
function steps.bytes(count, what) end

---@class pipehost.steps.close.options
---@field name? string for errors
---@field timeout? number ms until the other end has read everything

---Closes our end.
---@param options? pipehost.steps.close.options
---@return pipehost.step
function steps.close(options) end

---@class pipehost.steps.capture.options
---@field name? string for errors

---Keeps what fn(captures) gives under the name key.
---@param key string
---@param fn fun(captures: table<string, any>): any, pipehost.code?, any
---@param options? pipehost.steps.capture.options
---@return pipehost.step
function steps.capture(key, fn, options) end

---@class pipehost.steps.call.options
---@field name? string for errors

---@param fn fun(captures: table<string, any>, pipe: pipehost.pipe): any, pipehost.code?, any
---@param options? pipehost.steps.call.options
---@return pipehost.step
function steps.call(fn, options) end

---@class pipehost.steps.wait.options
---@field name? string for errors

---@param ms number
---@param options? pipehost.steps.wait.options
---@return pipehost.step
function steps.wait(ms, options) end

---@class pipehost.steps.branch.options
---@field name? string for errors

---@param fn fun(captures: table<string, any>): any
---@param yes pipehost.steps.list
---@param no? pipehost.steps.list
---@param options? pipehost.steps.branch.options
---@return pipehost.step
function steps.branch(fn, yes, no, options) end

---@class pipehost.steps.loop.options
---@field name? string for errors

---Plays the steps while fn(captures) is true before them.
---@param fn fun(captures: table<string, any>): any
---@param list pipehost.steps.list
---@param options? pipehost.steps.loop.options
---@return pipehost.step
function steps.loop(fn, list, options) end
