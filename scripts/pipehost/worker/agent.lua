-- SPDX-License-Identifier: MIT
-- What a worker other than the first one does: its part of the generations of
-- each script, as the first one tells by mail.
local core = require "pipehost.core"
local generations = require "pipehost.generation"
local pipe = require "pipehost.pipe"

local FIRST = 1

-- By the script's owner number and the generation's: pipehost.generation.
local alive = {}

local function key_of(owner, number)
  return owner .. "/" .. number
end

local commands = {}

-- A generation with the script loaded, from the texts that the first worker read.
function commands.open(args, owner, number, path, snapshot)
  local generation, message = generations.open(path, args, { number = number, owner = owner, snapshot = snapshot })
  if not generation then
    return false, message
  end
  alive[key_of(owner, number)] = generation
  return generation:load()
end

function commands.validate(_, owner, number, old)
  return alive[key_of(owner, number)]:validate(old and alive[key_of(owner, old)])
end

-- What can fail in a commit, too.
function commands.bind(_, owner, number, old)
  local generation = alive[key_of(owner, number)]
  local ok, message = generation:bind(old and alive[key_of(owner, old)])
  if ok then
    ok, message = generation:ready()
  end
  return ok, message
end

function commands.stopping(_, owner, number, ms)
  local generation = alive[key_of(owner, number)]
  local remote = generation and generation:stopping(ms)
  return remote and remote:wait()
end

-- Until then it can still be evicted.
function commands.retire(_, owner, number, drain)
  alive[key_of(owner, number)]:retire(drain)
  alive[key_of(owner, number)] = nil
end

function commands.counts()
  return core.host.counts()
end

-- Any other is a method.
local function run(args, command, owner, number, ...)
  if commands[command] then
    return commands[command](args, owner, number, ...)
  end
  local generation = alive[key_of(owner, number)]
  if not generation then
    return nil
  elseif command == "close" then
    alive[key_of(owner, number)] = nil
  end
  return generation[command](generation, ...)
end

local function answer(args, id, ...)
  core.host.send(FIRST, id, xpcall(run, debug.traceback, args, ...))
end

-- The main task, until it gets mail without anything in it.
return function(options)
  local function take(id, ...)
    if id then
      pipe.spawn(answer, options.args, id, ...)
    end
    return id
  end
  repeat until not take(core.host.receive())
  return 0
end
