-- SPDX-License-Identifier: MIT
-- What the host computes between two answers to this client, in ms, at most;
-- until a file is there.
local lfs = require "lfs"
local pipehost = require "pipehost"
local pipe = pipehost.pipe

local other = assert(pipe.open(pipehost.config.name, { timeout = 60000 }))
print "asking"
local before, most = tonumber(assert(other:transact "clock")), 0
repeat
  local now = tonumber(assert(other:transact "clock"))
  before, most = now, math.max(most, now - before)
until lfs.attributes(pipehost.config.stop, "mode")
print(most)
