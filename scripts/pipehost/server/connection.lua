-- SPDX-License-Identifier: MIT
-- One connection of a server.
--
-- The C side (bindings/service.c, worker.c) accepts, waits for messages, calls
-- on_message and sends replies. Everything else comes here: dispatch(kind,
-- conn, …) runs in a worker and gives nil to go on, or the reason of the end.
local core = require "pipehost.core"
local lists = require "pipehost.handshake.list"
local log = require "pipehost.log"
local play = require "pipehost.handshake.play"

local function fields(conn, code)
  return { pipe = conn.server.name, connection = conn.id, code = code }
end

local function warn(conn, code, message)
  log.warn(("server %s: %s"):format(conn.server.name, message), fields(conn, code))
end

local function reason_of(code)
  if code == "timeout" or code == "closed" or code == "protocol" then
    return code
  end
  return code == "cancelled" and "stopped" or "error"
end

-- Script code under its limits; this file's own goes on after it, whatever came.
local function call(conn, fn, ...)
  return core.call(fn, conn, ...)
end

-- One bad handler hurts only its own client. `limit`: "budget" or "nomem" if it
-- passed that one.
local function script_error(conn, message, limit)
  log.error(message, fields(conn, limit or "error"))
  local on_error = conn.server.options.on_error
  if type(on_error) == "function" then
    local ok, again = call(conn, on_error, message)
    if not ok then
      log.error(again, fields(conn, "error"))
    end
  end
  return limit == "budget" and limit or "error"
end

-- nil, code from on_open refuses the client.
local function opened(conn)
  local on_open = conn.server.options.on_open
  if not on_open then
    return
  end
  local ok, value, code, info = call(conn, on_open)
  if not ok then
    return script_error(conn, value, code)
  elseif value == nil and type(code) == "string" then
    warn(conn, code, "refused: " .. tostring(info or code))
    return "closed"
  end
end

local function run_session(conn)
  local ok, message, limit = call(conn, conn.server.options.session)
  if not ok then
    return script_error(conn, message, limit)
  end
  return "closed"
end

-- Why the steps of a connection failed, for its on_close.
local failures = setmetatable({}, { __mode = "k" })

local function play_steps(conn, steps, options)
  if type(steps) == "function" then
    steps = steps(conn)
    local ok, message = pcall(lists.check, steps)
    if not ok then
      error(("server %s: what the function 'steps' gave: %s"):format(conn.server.name, message), 0)
    end
  end
  return play(conn, steps, options)
end

-- What they capture is the connection's state.
local function run_steps(conn)
  local options = conn.server.options
  local ok, done, code, info = call(conn, play_steps, options.steps, {
    timeout = options.timeout, captures = conn.state,
  })
  if not ok then
    return script_error(conn, done, code)
  elseif done then
    return "closed"
  end
  failures[conn] = info
  warn(conn, code, tostring(info))
  return reason_of(code)
end

-- What is no on_message: from begin to end in this coroutine.
local function run(conn)
  return (conn.server.options.steps and run_steps or run_session)(conn)
end

local kinds = {}

function kinds.opened(conn)
  log.debug(("server %s: connected"):format(conn.server.name), fields(conn))
  local reason = opened(conn)
  if reason or conn.server.options.on_message then
    return reason
  end
  return run(conn)
end

-- The session raised.
function kinds.failed(conn, message, limit)
  return script_error(conn, message, limit)
end

-- on_message raised, or returned anything but a reply or nothing.
function kinds.answered(conn, ok, reply, code, info)
  if not ok then
    return script_error(conn, reply, code)
  elseif reply ~= nil then
    return script_error(conn, ("server %s: on_message returned a %s; a reply is a string"):format(
      conn.server.name, type(reply)))
  end
  warn(conn, code, tostring(info or code))
  return reason_of(code)
end

-- The client is gone, or is to go: on_close runs after everything else. What
-- failed for the host's own reasons gets a line.
function kinds.ended(conn, reason, _, code, info)
  if code and (reason == "error" or reason == "protocol") then
    warn(conn, reason, tostring(info))
  end
  local on_close = conn.server.options.on_close
  if on_close then
    local ok, message = call(conn, on_close, reason, failures[conn])
    if not ok then
      log.error(message, fields(conn, "error"))
    end
  end
  log.debug(("server %s: disconnected"):format(conn.server.name), fields(conn, reason))
end

-- The state of version `version`, brought to the one that this server has:
-- migrate[n] makes n + 1 of n.
local function migrated(options, state, version)
  local wanted = options.state_version or 1
  if version > wanted then
    error(("state_version went back from %d to %d"):format(version, wanted), 0)
  end
  for n = version, wanted - 1 do
    local step = options.migrate and options.migrate[n]
    if not step then
      error(("there is no migrate[%d] from state_version %d to %d"):format(n, n, n + 1), 0)
    end
    state = step(state)
  end
  return state
end

-- A connection comes over from an earlier generation; an error sends it back.
-- Of a session's only the state has come, until its coroutine there is closed.
function kinds.adopted(conn, state, version)
  local options = conn.server.options
  local ok, value = core.call(migrated, options, state == nil and {} or state, version)
  if not ok then
    error(value, 0)
  end
  conn.state = value
  if options.on_adopt and options.on_message then
    ok, value = call(conn, options.on_adopt, version)
    if not ok then
      error(value, 0)
    end
  end
end

-- The session of a connection that has come over.
function kinds.resumed(conn, version)
  local on_adopt = conn.server.options.on_adopt
  if on_adopt then
    local ok, message, limit = call(conn, on_adopt, version)
    if not ok then
      return script_error(conn, message, limit)
    end
  end
  return run(conn)
end

local M = { migrated = migrated }

function M.dispatch(kind, conn, ...)
  return kinds[kind](conn, ...)
end

return M
