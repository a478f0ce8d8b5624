---@meta _
-- SPDX-License-Identifier: MIT

---@class pipehost.pipes
local pipe = {}

---How a byte pipe is cut into messages. A struct has the length of what follows in its field `length`.
---@alias pipehost.frame "lines" | pipehost.struct | pipehost.framing

---@class pipehost.framing
---@field [1] pipehost.struct of fixed size
---@field field? string with the length; "length"
---@field includes_header? boolean the length is that of header and body
---@field keep_header? boolean messages come and go with their headers

---@class pipehost.pipe.create.options
---@field mode? pipehost.mode "message"
---@field frame? pipehost.frame of a byte pipe
---@field direction? pipehost.direction "duplex"
---@field max_message? integer bytes, 65536
---@field max_instances? integer | number math.huge
---@field backlog? integer 8
---@field access? pipehost.access "me"
---@field first? boolean whether the name is to be free in this process too; false
---@field timeout? number ms to wait for another server of the name to end; then the handle's

---A server's end, which clients can open from now on.
---@param name string
---@param options? pipehost.pipe.create.options
---@return pipehost.pipe?
---@return pipehost.code? code
---@return pipehost.info? info
function pipe.create(name, options) end

---@class pipehost.pipe.open.options
---@field mode? pipehost.mode what the server has
---@field timeout? number ms of the open, then of each operation of the handle
---@field wait? "exists" | "free" | "no" what open waits for; "exists" with a timeout, else "no"
---@field peer? "user" | "any" whether the server is to be this user's
---@field max_message? integer bytes, 65536
---@field frame? pipehost.frame of a byte pipe

---The client's end.
---@param name string
---@param options? pipehost.pipe.open.options
---@return pipehost.pipe?
---@return pipehost.code? code
---@return pipehost.info? info
function pipe.open(name, options) end

---Could the pipe be opened now? Never connects.
---@param name string
---@param ms? number
---@return true?
---@return pipehost.code? code
---@return pipehost.info? info
function pipe.available(name, ms) end

---@class pipehost.pipe.call.options
---@field timeout? number ms for all of it
---@field wait? "exists" | "free" | "no"
---@field max_message? integer bytes, 65536
---@field peer? "user" | "any"

---Opens the pipe, sends one message, receives the reply, closes.
---@param name string
---@param data string
---@param options? pipehost.pipe.call.options
---@return string? reply
---@return pipehost.code? code
---@return pipehost.info? info
function pipe.call(name, data, options) end

---Runs fn(...) beside the caller, from the loop's next turn on.
---@param fn fun(...: any): ...
---@param ... any
---@return pipehost.task
function pipe.spawn(fn, ...) end

---@return pipehost.event
function pipe.event() end

---@param ms number 0: gives way for one turn
function pipe.sleep(ms) end

---Monotonic, with fractions.
---@return number ms
function pipe.now() end

---@alias pipehost.waitable pipehost.operation | pipehost.task | pipehost.event

---The first in the list that is done, has ended or is set.
---@generic T: pipehost.waitable
---@param list T[]
---@param ms? number
---@return T? item
---@return integer | "pending" index
function pipe.wait_any(list, ms) end

---@param list pipehost.waitable[]
---@param ms? number
---@return true?
---@return "pending"? code
function pipe.wait_all(list, ms) end

---One end of a pipe. Close it with close() or as a <close> variable.
---@class pipehost.pipe
local p = {}

---One whole message.
---@param data string
---@param ms? number
---@return true?
---@return pipehost.code? code
---@return pipehost.info? info
function p:send(data, ms) end

---@param ms? number
---@return string? message
---@return pipehost.code? code
---@return pipehost.info? info
function p:receive(ms) end

---Ends when the other end has closed, raises on anything else.
---@return fun(): string?
function p:messages() end

---@param data string
---@param ms? number
---@return true?
---@return pipehost.code? code
---@return pipehost.info? info
function p:write(data, ms) end

---@param max? integer 65536
---@param ms? number
---@return string? data
---@return boolean | pipehost.code more the rest of this message is read next
---@return pipehost.info? info
function p:read(max, ms) end

---@param n integer
---@param ms? number
---@return string? data
---@return pipehost.code? code
---@return pipehost.info? info
function p:read_exact(n, ms) end

---A line without its end.
---@param ms? number
---@return string? line
---@return pipehost.code? code
---@return pipehost.info? info
function p:read_line(ms) end

---Ends when the other end has closed, raises on anything else.
---@return fun(): string?
function p:lines() end

---Sends one message and receives the next one.
---@param data string
---@param ms? number
---@return string? reply
---@return pipehost.code? code
---@return pipehost.info? info
function p:transact(data, ms) end

---Waits for a client (created pipes).
---@param ms? number
---@return true?
---@return pipehost.code? code
---@return pipehost.info? info
function p:connect(ms) end

---Drops the client and discards what it has not read.
---@return true?
---@return pipehost.code? code
---@return pipehost.info? info
function p:disconnect() end

---@return { available: integer, left: integer }?
---@return pipehost.code? code
---@return pipehost.info? info
function p:peek() end

---Until the peer has read all.
---@param ms? number
---@return true?
---@return pipehost.code? code
---@return pipehost.info? info
function p:flush(ms) end

---With ms: waits until the peer has read all. The pipe is closed either way.
---@param ms? number
---@return true?
---@return pipehost.code? code
---@return pipehost.info? info
function p:close(ms) end

---@return { pid: integer, uid: integer?, sid: string? }
function p:peer() end

---@return { name: string, path: string, server: boolean, framed: boolean, mode: pipehost.mode, direction: pipehost.direction, state: string, max_message: integer, instances: integer?, max_instances: integer? }
function p:info() end

---@param max? integer
---@param ms? number
---@return pipehost.operation
function p:read_op(max, ms) end

---@param ms? number
---@return pipehost.operation
function p:receive_op(ms) end

---@param data string
---@param ms? number
---@return pipehost.operation
function p:write_op(data, ms) end

---@param data string
---@param ms? number
---@return pipehost.operation
function p:send_op(data, ms) end

---@param data string
---@param ms? number
---@return pipehost.operation
function p:transact_op(data, ms) end

---@param ms? number
---@return pipehost.operation
function p:connect_op(ms) end

---@param ms? number
---@return pipehost.operation
function p:flush_op(ms) end

---Started; goes on by itself. A <close> variable cancels it.
---@class pipehost.operation
local op = {}

---Never ends the operation.
---@param ms? number
---@return true?
---@return "pending"? code
function op:wait(ms) end

---What the method of that name gives; as often as wanted.
---@return any
---@return any
---@return pipehost.info? info
function op:result() end

---A request: wait, and ask for the result.
function op:cancel() end

---@class pipehost.task
local task = {}

---true and what its function returned; raises what it raised.
---@param ms? number
---@return true?
---@return any ...
function task:wait(ms) end

---The wait that it is in raises "cancelled" there.
function task:cancel() end

---Manual reset.
---@class pipehost.event
local event = {}

function event:set() end

function event:reset() end

---@return boolean
function event:is_set() end

---@param ms? number
---@return true?
---@return "pending"? code
function event:wait(ms) end
