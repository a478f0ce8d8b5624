---@meta _
-- SPDX-License-Identifier: MIT

---@class pipehost
local pipehost = {}

---@alias pipehost.mode "message" | "byte"
---@alias pipehost.direction "duplex" | "inbound" | "outbound"
---@alias pipehost.access "me" | "admins" | "users" | integer[] | string
---@alias pipehost.reason "closed" | "timeout" | "error" | "protocol" | "stopped" | "reload" | "evicted" | "budget"

---@class pipehost.server.options
---@field name string the pipe's name
---@field on_message? fun(conn: pipehost.connection, message: string): string?, pipehost.code?, any what it returns is the reply; nil: none; nil, code: ends the connection
---@field session? fun(conn: pipehost.connection) instead of on_message: one call for each client, from its start to its end
---@field steps? pipehost.steps.list | fun(conn: pipehost.connection): pipehost.steps.list instead of on_message: played on each connection; captures are conn.state
---@field mode? pipehost.mode "message"
---@field timeout? number ms for each operation of a handler, and for its reply
---@field idle_timeout? number ms for the client's next message
---@field frame? pipehost.frame how a byte pipe is cut into messages
---@field max_message? integer bytes, 65536
---@field max_queue? integer posts that may wait for each client; 64
---@field max_instances? integer | number clients connected at once; math.huge
---@field backlog? integer clients that may wait to be taken, 8
---@field direction? pipehost.direction seen by the server; "duplex"
---@field access? pipehost.access who may open it; "me"
---@field first? boolean whether the name is to be free in this process too; true
---@field on_open? fun(conn: pipehost.connection): nil, pipehost.code?, any nil, code refuses the client
---@field on_close? fun(conn: pipehost.connection, reason: pipehost.reason, info: pipehost.info?) once for each connection; info where its steps failed
---@field on_error? "disconnect" | fun(conn: pipehost.connection, message: string) told of a script error
---@field on_reload? "handover" | "finish" | "close" what a reload does with connections
---@field workers? "all" under `serve --workers N`: clients are spread over them; otherwise the first one has all
---@field state_version? integer of conn.state; 1
---@field migrate? table<integer, fun(state: table): table> version -> what makes the next version's state of it
---@field on_adopt? fun(conn: pipehost.connection, old_version: integer) after a hand-over

---Declares a server; under `run` and `test` it listens at once.
---@param options pipehost.server.options
---@return pipehost.server
function pipehost.server(options) end

---@class pipehost.server
---@field name string as given
local server = {}

---No new clients; messages that have come are answered; who is not done after ms (5000) is cut.
---@param ms? number
---@return true
function server:stop(ms) end

---Until the server has stopped.
---@param ms? number
---@return true?
---@return "pending"? code
function server:wait(ms) end

---The connections that are there at the call.
---@return fun(): pipehost.connection?
function server:connections() end

---Posts to all connections of the name, whichever generation serves them.
---@param data string
---@param except? pipehost.connection
---@return integer queued for so many
function server:broadcast(data, except) end

---A client, as its server sees it: a pipe with these fields besides.
---@class pipehost.connection: pipehost.pipe
---@field state table the script's own; plain data crosses a reload
---@field id integer 1, 2, … for each server
---@field server pipehost.server
---@field generation integer of the script that serves it
local conn = {}

---Queues a message, never waits.
---@param data string
---@return true?
---@return pipehost.code? code "busy": max_queue messages wait already
---@return pipehost.info? info
function conn:post(data) end

---In a session: goes over to a later generation of the script, where there is one.
function conn:checkpoint() end
