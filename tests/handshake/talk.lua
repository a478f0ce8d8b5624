-- SPDX-License-Identifier: MIT
-- What the tests of handshakes share: other ends, and what a handshake came to.
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local t = require "pipehost.test"

local M = {}

local LONG = 20000 -- ms; nothing here takes that long

---A server of message pipes that answers from a table, or with a function. "end"
---closes.
---@return string name
function M.answering(answers)
  return pipehost.server {
    name = t.name(),
    on_message = function(conn, message)
      if message == "end" then
        conn:close()
        return
      elseif type(answers) == "function" then
        return answers(message, conn)
      end
      return answers[message]
    end,
  }.name
end

---A server whose clients are talked to by fn(conn).
---@return string name
function M.session(mode, fn)
  return pipehost.server { name = t.name(), mode = mode, session = fn }.name
end

---A server of byte pipes that sends these parts, one by one, and waits for the end.
---@return string name
function M.sending(...)
  local parts = { ... }
  return M.session("byte", function(conn)
    for i, part in ipairs(parts) do
      if i > 1 then
        pipe.sleep(10)
      end
      conn:write(part)
    end
    conn:read(65536)
  end)
end

---The captures; a failure is raised.
function M.plays(name, steps, options)
  local all = { pipe = name, steps = steps, timeout = LONG }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return assert(pipehost.handshake(all))
end

---It fails with this code; gives info.
function M.fails(code, name, steps, options)
  local all = { pipe = name, steps = steps, timeout = code == "timeout" and 40 or LONG }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  local captures, got, info = pipehost.handshake(all)
  t.assertNil(captures)
  t.assertEquals(got, code, tostring(info))
  t.assertEquals(info.code, code)
  return info
end

---fn raises at its first line, with this message.
function M.raises(message, fn)
  local line = debug.getinfo(fn, "S").linedefined + 1
  local file = debug.getinfo(fn, "S").short_src:match "[^/\\]+$"
  local ok, got = pcall(fn)
  t.assertFalse(ok, "nothing was raised")
  t.assertEquals((tostring(got):gsub("^.*[/\\]([^/\\:]+:%d+: )", "%1")), ("%s:%d: %s"):format(file, line, message))
end

---The kinds and bytes of a transcript, as { "open", ">ask" }.
function M.said(events)
  local list = {}
  for i, event in ipairs(events) do
    list[i] = event.kind .. (event.bytes or "")
  end
  return list
end

---Waits for a task's end and gives what its function returned.
function M.join(task)
  assert(pipe.wait_all({ task }, LONG))
  return select(2, task:wait())
end

return M
