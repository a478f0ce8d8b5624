-- SPDX-License-Identifier: MIT
-- One generation of a served script, as the command line's state sees it: its
-- hooks (script.lua) run in a state of their own.
local common = require "pipehost.command.common"
local log = require "pipehost.log"
local pipe = require "pipehost.pipe"

local LOAD_MS = 30000 -- in all, of which 2000 may be computing
local HOOK_MS = 5000 -- for hooks that only look
local SLACK_MS = 3000 -- beyond the time that a hook was given
local GIVE_UP_MS = 1000 -- for clients of a name that is taken anew
local CUT_MS = 1000 -- for handlers to end after their client was cut

---@class pipehost.generation
---@field number integer
---@field since number
---@field sources table<string, string | false> what it was made of
---@field closed userdata an event
local Generation = {}
Generation.__index = Generation

local M = { class = Generation }

---A state for the script, with nothing of it run.
---@param path string
---@param args table the command line
---@param more { number: integer, owner: integer, snapshot?: table<string, string | false> }
---@return pipehost.generation?
---@return string? message
---@return integer? status
function M.open(path, args, more)
  local raw, message, status = common.open(path, args, "serve", more)
  if not raw then
    return nil, message, status
  end
  return setmetatable({
    raw = raw, path = path, number = more.number, since = pipe.now(), sources = {}, closed = pipe.event(),
  }, Generation)
end

-- true and what the hook returned; false and the error; nil: the time was up.
function Generation:call(ms, hook, ...)
  local remote = self.raw:start(hook, ...)
  if not remote then
    return false, ("%s: %s: the script has no memory left"):format(self.path, hook)
  end
  return remote:wait(ms)
end

-- What it is made of by now: a handler may have required more.
function Generation:read_sources()
  local ok, texts = self:call(HOOK_MS, "sources")
  if ok then
    self.sources = texts
  end
end

---Waits until a handler has required or read a file that was not known, and
---knows it then.
function Generation:read_more()
  self.raw:tracked()
  self:read_sources()
end

-- The same with the lines that the message is about.
function Generation:explain(message)
  self:read_sources()
  return common.explain(self.raw, message)
end

---Runs the script's code, which declares its servers.
---@return boolean
---@return string? message
function Generation:load()
  local ok, message = self:call(LOAD_MS, "load")
  if ok then
    self.spread = message
    self:read_sources()
    return true
  elseif ok == nil then
    message = ("%s: it was not loaded within %d s"):format(self.path, LOAD_MS // 1000)
  end
  return false, self:explain(message)
end

---Could it take over what `old` serves? Nothing has happened yet.
---@param old? pipehost.generation
---@return boolean
---@return string? message
function Generation:validate(old)
  local ok, served = true, {}
  if old then
    ok, served = old:call(HOOK_MS, "served")
  end
  if not ok then
    return false, served or "the generation that serves did not say what it serves"
  end
  local fine, message, anew = self:call(LOAD_MS, "validate", served)
  if not fine then
    return false, self:explain(message or "migrate: it took too long")
  end
  self.anew = anew
  return message == nil, message and self:explain(message)
end

function Generation:prepare(left_out)
  local ok, message = self:call(LOAD_MS, "prepare", left_out)
  if ok and not message then
    return true
  end
  local status = ok == false and common.SCRIPT_ERROR or common.UNAVAILABLE
  return false, self:explain(message or "the names could not be taken in time"), status
end

---Takes its names, those last that `old` has to give up for it: what can fail
---without anybody's notice comes before.
---@param old? pipehost.generation
---@return boolean
---@return string? message
---@return integer? status
function Generation:bind(old)
  local anew = self.anew or {}
  local ok, message, status = self:prepare(anew)
  if ok and anew[1] then
    old:call(GIVE_UP_MS + SLACK_MS, "give_up", anew, GIVE_UP_MS)
    ok, message, status = self:prepare {}
  end
  return ok, message, status
end

---Would the commit begin to serve? Nothing else in it fails.
---@return boolean
---@return string? message
function Generation:ready()
  local ok, message = self:call(HOOK_MS, "ready")
  return ok and not message, message and self:explain(message)
end

---From now on new clients are its own, and old ones come over.
---@return boolean
---@return string? message
function Generation:commit()
  local ok, message = self:call(LOAD_MS, "commit")
  if ok and not message then
    return true
  end
  message = self:explain(message or "the commit did not end in time")
  if self.raw:begun() then
    -- There is no way back: it has clients already.
    log.error(("%s: generation %d serves, but its start has failed: %s"):format(self.path, self.number, message))
    return true
  end
  return false, message
end

---The next generation has failed after it had begun to take names.
function Generation:restore()
  self:call(LOAD_MS, "restore")
end

---How many connections it serves.
---@return integer
function Generation:clients()
  return self.raw:clients()
end

---Bytes that its state holds.
---@return integer
function Generation:memory()
  return self.raw:memory()
end

---The servers, for people.
---@return table[]
function Generation:status()
  local ok, list = self:call(HOOK_MS, "status")
  return ok and list or {}
end

---Who pins it: some of its connections.
---@return { server: string, id: integer, pid?: integer }[]
function Generation:holders()
  local ok, list = self:call(HOOK_MS, "holders")
  return ok and list or {}
end

-- Until the last client has gone.
function Generation:serve_out(drain)
  self:call(SLACK_MS, "on_stop")
  self.raw:cancel() -- the tasks that serve no connection
  self:call(drain + SLACK_MS, "retire", drain)
  self.raw:released()
end

---A later one has taken over. Returns when the last client has gone and the
---state is closed.
---@param drain number ms, for the clients of names that are served no more
function Generation:retire(drain)
  self:serve_out(drain)
  self:close()
  log.debug(("%s: generation %d is closed"):format(self.path, self.number))
end

---Cuts its clients.
function Generation:evict()
  self:call(CUT_MS, "evict")
  if not self.raw:released(CUT_MS) then
    self.raw:cancel(true)
  end
end

---Starts its stop.
---@param ms number for clients to finish
---@return userdata? remote
function Generation:stopping(ms)
  return self.raw:start("stop", ms)
end

---Ends what the script still runs and gives its memory back. Again: nothing.
function Generation:close()
  if not self.closed:is_set() then
    self.closed:set()
    common.close(self.raw)
  end
end

return M
