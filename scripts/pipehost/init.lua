-- SPDX-License-Identifier: MIT
-- require "pipehost": everything that scripts use.
local core = require "pipehost.core"
local lifecycle = require "pipehost.lifecycle"
local handshake = require "pipehost.handshake"
local server = require "pipehost.server"

---@class pipehost
local M = {
  pipe = require "pipehost.pipe",
  log = require "pipehost.log",
  shared = core.shared,
  struct = require "pipehost.struct",
  server = server.declare,
  handshake = handshake.run,
  play = handshake.play,
  steps = handshake.steps,
  client = handshake.client,
  on_start = lifecycle.on_start,
  on_stop = lifecycle.on_stop,
  limits = require "pipehost.limits",
  readfile = require("pipehost.sources").readfile,
  config = lifecycle.config,
  generation = lifecycle.generation,
  worker = core.worker,
}

return setmetatable(M, { __index = core.index(M, "pipehost") })
