-- SPDX-License-Identifier: MIT
-- require "pipehost": everything that scripts use.
local lifecycle = require "pipehost.lifecycle"
local handshake = require "pipehost.handshake"
local server = require "pipehost.server"

---@class pipehost
local M = {
  pipe = require "pipehost.pipe",
  log = require "pipehost.log",
  struct = require "pipehost.struct",
  server = server.declare,
  handshake = handshake.run,
  steps = handshake.steps,
  client = handshake.client,
  on_start = lifecycle.on_start,
  on_stop = lifecycle.on_stop,
  limits = require "pipehost.limits",
}

return setmetatable(M, {
  __index = function(_, key)
    if key == "config" or key == "generation" then
      return lifecycle[key]
    end
  end,
})
