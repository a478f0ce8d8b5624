-- SPDX-License-Identifier: MIT
-- Why a handshake failed, for people: info.message is the sentence, info.report
-- the lines below it.
local core = require "pipehost.core"
local show = require "pipehost.show"
local transcripts = require "pipehost.handshake.transcript"

local M = {}

local function within(limit)
  if not limit.ms then
    return ""
  elseif limit.deadline then
    return (" before the deadline of %g ms"):format(limit.deadline)
  end
  return (" within %g ms"):format(limit.ms)
end

---Something else came than was expected.
---@param matcher pipehost.handshake.matcher
---@param data string
---@param why? string
---@param details? string
function M.mismatch(matcher, data, why, details)
  local text = ("expected %s, got %s%s"):format(matcher, show.value(data), why and ": " .. why or "")
  local _, code, info = core.failure("protocol", "expect", nil, text)
  info.expected, info.got, info.details = tostring(matcher), data, details
  return nil, code, info
end

local function why_nothing(code, info, came, limit)
  local what = came ~= "" and ("but only %s came"):format(show.value(came)) or "but nothing came"
  if code == "timeout" then
    return what .. within(limit)
  elseif code ~= "closed" then
    return "but " .. info.message
  elseif info.by == "host" then
    return "but the host has closed it"
  end
  return came == "" and "but the other end has closed" or what .. " before the other end closed"
end

---Nothing came, or too little of a byte pipe.
function M.nothing(matcher, code, info, came, limit)
  info.expected, info.got = tostring(matcher), came ~= "" and came or nil
  info.message = ("expected %s, %s"):format(matcher, why_nothing(code, info, came, limit))
  return nil, code, info
end

---What was to be sent was not.
function M.not_sent(data, code, info, limit)
  local why = code == "timeout" and "not taken" .. within(limit) or info.message
  info.message = ("sending %s: %s"):format(show.value(data), why)
  return nil, code, info
end

---The deadline of the whole is over before a step that reads nothing.
function M.late(limit)
  return core.failure("timeout", "wait", nil, ("not done%s"):format(within(limit)))
end

-- What the step was, before what happened; then all there is to show.
---@param info table
---@param at { index: integer, name: string, path: string, where: string }
---@param subject string
---@param events pipehost.handshake.event[]
function M.complete(info, at, subject, events)
  -- Of a handshake inside: what it had to show stays.
  info.details = info.report or info.details
  info.step, info.transcript, info.pipe = at, events, info.pipe or subject
  info.message = ("handshake %s: step %s (%s) at %s: %s"):format(subject, at.path, at.name, at.where,
    info.message or info.code)
  if not info.message:find("(" .. info.code, 1, true) then
    info.message = ("%s (%s)"):format(info.message, info.code)
  end
  local lines = {}
  if info.details and info.details ~= "" then
    lines[1] = info.details
  end
  lines[#lines + 1] = ("  said on %s so far (ms, > sent, < received, bytes):"):format(subject)
  lines[#lines + 1] = transcripts.text(events)
  info.report = table.concat(lines, "\n")
end

return M
