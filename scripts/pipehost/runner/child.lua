-- SPDX-License-Identifier: MIT
-- The process of one test file: how it is started, what it says on its channel,
-- and what it prints, which is kept apart.
local channel = require "pipehost.runner.channel"
local core = require "pipehost.core"
local pipe = require "pipehost.pipe"
local trees = require "pipehost.runner.trees"

local CONNECT_MS = 30000
local END_MS = 10000 -- for the process to end when it has nothing left to do
local GONE_MS = 5000
local CHUNK = 65536
local MOST_KEPT = 1 << 20 -- bytes of output between two takes
local SYNC_TURNS = 200

---@class pipehost.runner.child
---@field file string
---@field folder string for its pipes and its temporary files
---@field process userdata
---@field channel pipehost.runner.channel
---@field printed string[] since the last take
local Child = {}
Child.__index = Child

local M = {}
local windows = package.config:sub(1, 1) == "\\"

local function add_all(line, option, values)
  for _, value in ipairs(values or {}) do
    line[#line + 1] = option
    line[#line + 1] = value
  end
end

local function command(self, args, name)
  local line = table.move(args.program, 1, #args.program, 1, {})
  add_all(line, "--scripts", { args.library })
  add_all(line, "--log-format", { args.log_format })
  line[#line + 1] = args.verbose and "-v" or args.quiet and "-q" or nil
  line[#line + 1] = "test"
  add_all(line, "--set", args.set)
  add_all(line, "--path", args.path)
  add_all(line, "--rename", args.rename)
  line[#line + 1] = args.no_limits and "--no-limits" or nil
  add_all(line, "--timeout", { ("%d"):format(args.timeout) })
  add_all(line, "--seed", { ("%d"):format(args.seed) })
  add_all(line, "--channel", { name })
  add_all(line, "--temporary", { self.folder })
  line[#line + 1] = self.file
  return line
end

local function pump(self, stream)
  while true do
    local data = stream:read(CHUNK)
    if not data then
      break
    end
    self.size = self.size + #data
    if self.size <= MOST_KEPT then
      self.printed[#self.printed + 1] = data
    end
  end
  self.drained = true
end

-- A program that does not talk to us ends, or never connects.
local function connect(self, instance)
  local op <close> = instance:connect_op(CONNECT_MS)
  pipe.wait_any { op, self.process }
  return (op:result())
end

local function make_process(self, args, name)
  local alone = not windows and not args.no_isolation
  return core.process {
    stdin = "null", stderr = "stdout", env = alone and { "PIPEHOST_DIR=" .. self.folder } or nil,
    table.unpack(command(self, args, name)),
  }
end

---Starts the process of a file.
---@param file string
---@param args table program, timeout, seed, and what is passed on
---@return pipehost.runner.child? with its channel open
---@return string? message
---@return string? output
function M.start(file, args)
  local folder = core.host.temporary_folder()
  if not folder then
    return nil, "no temporary folder can be made"
  end
  local self = setmetatable({ file = file, folder = folder, printed = {}, size = 0 }, Child)
  local name = windows and folder:match "[^/\\]*$" or folder .. "/channel"
  local instance = assert(pipe.create(name, { mode = "byte", max_instances = 1 }))
  self.channel = channel.new(instance)
  local process, _, info = make_process(self, args, name)
  if not process then
    self:close()
    return nil, tostring(info)
  end
  self.process = process
  self.task = pipe.spawn(pump, self, process.stdout)
  if not connect(self, instance) then
    local message = self:tell_end "before it could load the file"
    self:close()
    return nil, message, self:take_output()
  end
  return self
end

-- Output ----------------------------------------------------------------------------

---What it has printed up to its last frame, and since the last take.
---@return string
function Child:take_output()
  -- That is in the pipe already; it may not have been read.
  for _ = 1, SYNC_TURNS do
    local peek = not self.drained and core.is_open(self.process.stdout) and self.process.stdout:peek()
    if not peek or peek.available == 0 then
      break
    end
    pipe.sleep(0)
  end
  local text, dropped = table.concat(self.printed), self.size - MOST_KEPT
  self.printed, self.size = {}, 0
  return text:gsub("\r\n", "\n") .. (dropped > 0 and ("\n… %d bytes more"):format(dropped) or "")
end

-- End -------------------------------------------------------------------------------

---Kills it when it has not ended by then, and tells what became of it.
---@param when string
---@return string
function Child:tell_end(when)
  local status, signal = self.process:wait(END_MS)
  if not status then
    self.process:kill()
    return ("its process said nothing %s, and has been ended"):format(when)
  elseif math.type(signal) then
    return ("its process was ended by signal %d %s"):format(signal, when)
  end
  return ("its process ended with status %d %s"):format(status, when)
end

---Ends it, with all that it has started, and what it had is removed.
function Child:close()
  if self.process then
    self.process:kill()
    self.process:gone(GONE_MS)
    self.task:wait(GONE_MS)
    self.task:cancel()
    pcall(self.task.wait, self.task)
    self.process.stdout:close()
    self.process:close()
  end
  self.channel.pipe:close()
  trees.remove(self.folder)
end

return M
