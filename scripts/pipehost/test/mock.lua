-- SPDX-License-Identifier: MIT
-- The steps of a handshake as the other end of what is tested: a server that
-- plays them with each client, or a client.
local context = require "pipehost.test.context"
local core = require "pipehost.core"
local failure = require "pipehost.test.failure"
local handshake = require "pipehost.handshake"
local hex = require "pipehost.hex"
local pipe = require "pipehost.pipe"
local servers = require "pipehost.server"

local M = {}

local FINISH_MS = 2000 -- at the end of the test, for conversations under way
local LOOK_MS = 20 -- for what may have come after the last step
local BYTES = 65536

---@class pipehost.test.mock
---@field name string of the pipe
---@field server pipehost.server
---@field open integer conversations under way
---@field done integer those that went as the steps say
---@field failure? pipehost.test.failure the first one
local Mock = {}
Mock.__index = Mock

-- The failure of steps: at the step's line, with what was said.
local function of_steps(info)
  local where = info.step and info.step.where
  local message = info.report and info.message .. "\n" .. info.report or tostring(info)
  return { message = message, place = where }
end

-- After the last step nothing more is to come, but the end.
local function after_steps(self, conn)
  if not core.is_open(conn) then
    return nil
  end
  local last = self.steps[#self.steps]
  local data, code
  if conn:info().mode == "message" then
    data, code = conn:receive(math.huge)
  else
    data, code = conn:read(BYTES, math.huge)
  end
  if not data and (code == "closed" or code == "cancelled") then
    return nil
  end
  local what = data and ("came " .. hex.line(data)) or "reading gave " .. code
  return { message = ("mock %s: after the last step %s"):format(self.name, what), place = last.where or self.place }
end

function Mock:play(conn)
  local captures, _, info = handshake.play(conn, self.steps, { timeout = self.timeout })
  local found
  if not captures then
    found = of_steps(info)
  else
    self.captures = captures
    self.played:set()
    found = after_steps(self, conn)
  end
  self.failure = self.failure or found
  self.done = self.done + (found and 0 or 1)
end

-- Raised where the script waits for it.
function Mock:raise_failure()
  if self.failure then
    error({ pipehost_failure = self.failure }, 0)
  end
end

local function session(self)
  return function(conn)
    self.open = self.open + 1
    local ok, message = pcall(self.play, self, conn)
    self.open = self.open - 1
    if not ok then
      self.failure = self.failure or { message = tostring(message) }
    end
    self.changed:set()
  end
end

---Waits until a client has gone through all of the steps; raises what differed.
---@param ms? number (5000)
---@return table captures of the last one
function Mock:wait(ms)
  local deadline = pipe.now() + (ms or 5000)
  while not self.captures do
    self.changed:reset()
    self:raise_failure()
    local left = deadline - pipe.now()
    if left <= 0 then
      error(("mock %s: no client has gone through its steps within %d ms"):format(self.name, ms or 5000), 0)
    end
    pipe.wait_any({ self.changed, self.played }, left)
  end
  self:raise_failure()
  return self.captures
end

-- Until nobody is there any more.
function Mock:finish(ms)
  local deadline = pipe.now() + ms
  while self.open > 0 and pipe.now() < deadline do
    self.changed:reset()
    self.changed:wait(deadline - pipe.now())
  end
end

-- At the end of a test that has not failed otherwise.
function Mock:check()
  if not self.captures then
    self:finish(FINISH_MS)
  end
  self:finish(LOOK_MS)
  self:raise_failure()
  if not self.captures then
    failure.raise(("mock %s: %s"):format(self.name,
      self.open > 0 and "a client is still there, and not all of its steps have come" or "no client has come"),
      self.place)
  end
end

---A server that plays the steps with each of its clients.
---@param options table of pipehost.server, with `steps`
---@return pipehost.test.mock
function M.serve(options)
  local self = setmetatable({
    name = options.name, steps = options.steps, timeout = options.timeout, open = 0, done = 0,
    played = pipe.event(), changed = pipe.event(), place = failure.here(context.settings.file),
  }, Mock)
  local copy = {}
  for key, value in pairs(options) do
    copy[key] = value
  end
  copy.steps, copy.session = nil, session(self)
  self.server = servers.declare(copy)
  table.insert(context.current().checks, function()
    self:check()
  end)
  return self
end

---Plays the steps as a client, and raises where something else comes.
---@param options table of pipehost.handshake
---@return table captures
---@return table transcript
function M.client(options)
  local captures, transcript, info = handshake.run(options)
  if not captures then
    error({ pipehost_failure = of_steps(info) }, 0)
  end
  return captures, transcript
end

return M
