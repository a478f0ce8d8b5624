---@meta pipehost.faults
-- SPDX-License-Identifier: MIT

---One fault: exactly one of the kinds, and where and when it happens. What is
---counted, from 1 and over all connections of the plan, is the *unit*: a message;
---of a byte pipe what one read of the system brought, or one write; one try to
---open; one client that comes. `fail` and `late` count the operations themselves:
---a read that waits has its number already.
---@class pipehost.fault
---@field delay? number it comes this many ms later; what is behind it waits
---@field jitter? number with delay: each time by up to so much more or less (ms)
---@field drop? true it is lost; whoever wrote it is told that it was written
---@field cut? integer the connection ends after so many bytes of the direction
---@field split? true each byte comes alone; on a message pipe as a message of its own
---@field join? true | number one with the next, for which it waits so long (20 ms)
---@field duplicate? true it comes twice
---@field corrupt? true one of its bytes is another one
---@field stall? true neither it nor anything behind it comes, until the plan is closed
---@field refuse? true | integer (the first n tries) open: absent; connect: let in and dropped
---@field busy? true | integer (the first n tries) open: busy
---@field fail? string the operation ends with this code
---@field late? number a cancel or time-out needs so many ms to end the operation
---@field on? pipehost.fault_lane | pipehost.fault_lane[] default: "in" and "out";
--- of refuse and busy "open"
---@field nth? integer only the nth
---@field from? integer from this one on (1)
---@field to? integer up to this one
---@field every? integer of those each so many-th, beginning with the first (1)
---@field chance? number of those each with this chance, 0 to 1 (1)

---As this end sees it: "in" is what it reads, "out" what it writes, "open" a
---client's try, "connect" a client that comes to a server.
---@alias pipehost.fault_lane "in" | "out" | "open" | "connect"

---The faults of one pipe's name, in any order.
---@class pipehost.fault_plan
---@field [integer] pipehost.fault
---@field side? "client" | "server" of which ends in this process (both)
---@field seed? integer of all that is by chance (1): the same seed, the same faults
---@field together? boolean operations are counted over all lanes of its faults, not for each

---What t.faults gives.
---@class pipehost.faults
local faults = {}

---How many there were, in one lane or in all.
---@param what string "units", "bytes", "operations", or a kind such as "drop"
---@param on? pipehost.fault_lane
---@return integer
function faults:count(what, on) end

---What was done, in its order: the first 4096.
---@return { fault: string, on: pipehost.fault_lane, number: integer, value: integer }[] events value: of
--- a delay microseconds, of corrupt and cut which byte
function faults:events() end

---No more faults; what was held back goes on. Counts and events stay.
function faults:close() end

return faults
