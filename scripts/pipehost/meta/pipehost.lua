---@meta pipehost
-- SPDX-License-Identifier: MIT
-- Definitions for editors. Times are milliseconds; every `ms` is optional.
-- docs/reference.md has all that is said here and more.

---What a call returns besides nil when it did not succeed: a word to decide by.
---@alias pipehost.code "pending" | "timeout" | "cancelled" | "closed" | "busy" | "absent" | "denied" | "exists" | "toobig" | "mode" | "protocol" | "nomem" | "budget" | "system" | string

---The same for people: tostring(info) is the whole sentence.
---@class pipehost.info
---@field code pipehost.code
---@field op? string what was tried: "open", "read" …
---@field pipe? string the pipe's name
---@field os? integer the system's own number
---@field message string the sentence
---@field bytes? integer what the system reports as moved
---@field by? "host" the host has closed the handle, not the other end
---@field expected? any of a protocol error
---@field got? any of a protocol error
---@field step? pipehost.handshake.place of a handshake
---@field transcript? pipehost.handshake.event[] of a handshake
---@field tries? integer of a handshake
---@field report? string of a handshake: lines for people
---@field struct? string of a struct's unpack
---@field field? string of a struct's unpack: the field's path
---@field offset? integer of a struct's unpack: where the field begins

---@class pipehost
---@field pipe pipehost.pipes
---@field steps pipehost.steps
---@field log pipehost.log
---@field config table<string, string> what --set KEY=VALUE gave
---@field worker integer which of the threads of `serve --workers` this is, from 1
---@field generation integer the script's number, one more with each reload
local pipehost = {}

---Runs fn as a task once the script's servers listen (`serve` only).
---@param fn fun()
function pipehost.on_start(fn) end

---Runs fn when the script is stopped, before its servers stop, or is replaced by a reload; for at most 1000 ms.
---@param fn fun()
function pipehost.on_stop(fn) end

---A data file, whole, at most 4 MiB. Under `serve` the script is reloaded when it changes.
---@param path string absolute, or seen from the script's folder
---@return string? text
---@return string? code "absent" "busy" "denied" "toobig"
---@return pipehost.info? info
---@nodiscard
function pipehost.readfile(path) end

---Values that all scripts of the process have in common; they survive reloads.
---@param name string
---@return pipehost.shared
function pipehost.shared(name) end

---@class pipehost.shared
local shared = {}

---@param key string | integer
---@return any value a copy
function shared:get(key) end

---@param key string | integer
---@param value any plain data; nil removes it
---@return true?
---@return "nomem"? code
---@return pipehost.info? info
function shared:set(key, value) end

---@param key string | integer
---@param number? number 1
---@return number? sum
---@return "nomem"? code
---@return pipehost.info? info
function shared:add(key, number) end

---@param key string | integer
---@param fn fun(value: any): any gives the new value; cannot wait
---@return any value what fn gave
---@return "nomem"? code
---@return pipehost.info? info
function shared:update(key, fn) end

---@return (string | integer)[] in no order
function shared:keys() end

---@class pipehost.limits.options
---@field memory? integer bytes, 67108864
---@field cpu? number ms that a handler may compute between two waits, 100; math.huge: no limit
---@field tasks? number of pipe.spawn that have not ended, 10000; math.huge: no limit

---What this script may use. Only while it is loaded.
---@param options pipehost.limits.options
function pipehost.limits(options) end

---@class pipehost.log
local log = {}

---A line with the fields behind it; shown with -v.
---@param message any
---@param fields? table<string, any>
function log.debug(message, fields) end

---@param message any
---@param fields? table<string, any>
function log.info(message, fields) end

---@param message any
---@param fields? table<string, any>
function log.warn(message, fields) end

---Shown also with -q.
---@param message any
---@param fields? table<string, any>
function log.error(message, fields) end

return pipehost
