-- SPDX-License-Identifier: MIT
-- The other workers, as the first one's command line sees them.
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"

---@class pipehost.crew
---@field count integer of all workers
local Crew = {}
Crew.__index = Crew

local M = {}

-- Gives each call its answer.
local function listen(calls)
  while true do
    local mail = table.pack(core.host.receive())
    local call = calls[mail[1]]
    calls[mail[1]] = nil
    if call then
      call.answer = table.pack(table.unpack(mail, 2, mail.n))
      call.done:set()
    end
  end
end

---Starts them, for this command line.
---@param count integer of all workers
---@param args table
---@return pipehost.crew?
---@return string? message
function M.start(count, args)
  local ok, why = core.host.start_workers(count, {
    main = true, agent = true, library = args.library,
    args = {
      set = args.set, rename = args.rename, path = args.path, library = args.library, no_limits = args.no_limits,
    },
  })
  if not ok then
    return nil, why
  end
  local self = setmetatable({ count = count, calls = {}, last = 0 }, Crew)
  pipe.spawn(listen, self.calls)
  return self
end

---Has the worker do something; gives a task whose result is `true` and what its
---agent returned, or `false` and the error.
---@param worker integer from 2
---@param command string
function Crew:call(worker, command, ...)
  local id, call = self.last + 1, { done = pipe.event() }
  self.last = id
  self.calls[id] = call
  core.host.send(worker, id, command, ...)
  return pipe.spawn(function()
    call.done:wait()
    return table.unpack(call.answer, 1, call.answer.n)
  end)
end

---The same of all of them but the first. Gives their answers by worker: { ok,
---results … }; false and a sentence of one that has not answered in time.
---@param ms number? no limit without
---@return table<integer, table>
function Crew:all(ms, command, ...)
  local tasks, answers = {}, {}
  local deadline = ms and pipe.now() + ms
  for worker = 2, self.count do
    tasks[worker] = self:call(worker, command, ...)
  end
  for worker = 2, self.count do
    local got = table.pack(tasks[worker]:wait(deadline and math.max(deadline - pipe.now(), 0)))
    -- The task's own success is before what the call gave.
    answers[worker] = got[1] and table.pack(table.unpack(got, 2, got.n)) or { false, "it does not answer" }
  end
  return answers
end

return M
