-- SPDX-License-Identifier: MIT
-- t.exclusive: one test at a time, of all that run side by side. The runner has
-- the locks.
local context = require "pipehost.test.context"
local pipe = require "pipehost.pipe"

local function take(of, channel, name)
  local pause <close> = of:pause() -- luacheck: ignore 211
  assert(channel:send { kind = "lock", name = name })
  local reply, _, info = channel:receive()
  if not reply then
    error(tostring(info), 0)
  end
  return reply.granted
end

---Waits until no other test of this run has the name; it is given back when this
---one ends. The deadline stands still meanwhile.
---@param name string of a pipe, or of anything else
return function(name)
  if type(name) ~= "string" then
    error("t.exclusive: takes a name", 2)
  end
  local of, channel = context.current(), context.settings.channel
  of.locks = of.locks or {}
  if of.locks[name:lower()] then
    return
  elseif not take(of, channel, name) then
    error(("t.exclusive: other tests have kept '%s' for too long"):format(name), 2)
  end
  of.locks[name:lower()] = true
  of:defer(function()
    assert(channel:send { kind = "unlock", name = name })
  end)
  local free, code = pipe.available(name, 0)
  if free or code ~= "absent" then
    error(("t.exclusive: somebody outside of this run serves the pipe '%s' already"):format(name), 2)
  end
end
