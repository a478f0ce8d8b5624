-- SPDX-License-Identifier: MIT
-- What the host computes before it answers this client, in ms, at most, until a
-- file is there.
local computed = require "computed"
local lfs = require "lfs"
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local pid = pipehost.config.pid
local other = assert(pipe.open(pipehost.config.name, { timeout = 60000 }))
print "asking"
local most = 0
repeat
  pipe.sleep(5)
  local before = computed(pid)
  local now = tonumber(assert(other:transact("computed " .. pid)))
  most = math.max(most, now - before)
until lfs.attributes(pipehost.config.stop, "mode")
print(most)
