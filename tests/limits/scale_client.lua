-- SPDX-License-Identifier: MIT
-- Opens many pipes and asks on each of them; lets them be until a file is there,
-- and asks on each again.
local lfs = require "lfs"
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local config = pipehost.config
local conns = {}

local function ask(i)
  local message = tostring(i)
  assert(assert(conns[i]:transact(message)) == message)
end

for i = 1, tonumber(config.count) do
  conns[i] = assert(pipe.open(config.name, { mode = "message", timeout = 60000 }))
  ask(i)
end
print "all"
repeat pipe.sleep(5) until lfs.attributes(config.go, "mode")
for i in ipairs(conns) do
  ask(i)
end
for _, conn in ipairs(conns) do
  conn:close()
end
print "done"
