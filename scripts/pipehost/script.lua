-- SPDX-License-Identifier: MIT
-- The life of one script in its state: the hooks that the command line calls.
local pipe = require "pipehost.pipe"
local servers = require "pipehost.server"

---@class pipehost.script_options
---@field script string the file
---@field mode "serve" | "run" | "check"
---@field arguments? string[] for `run`
---@field config? table<string, string>
---@field paths? string[] where require looks besides the script's folder
---@field library? string folder instead of the built-in library

return function(core, options, load_file)
  local lifecycle = require "pipehost.lifecycle"
  lifecycle.config = options.config or {}
  lifecycle.generation = options.generation
  lifecycle.served = options.mode == "serve"
  local exit_event, exit_status = pipe.event(), nil

  function os.exit(status)
    if options.mode ~= "run" then
      error(options.mode == "test" and "os.exit: a test ends by returning" or
        "os.exit: a script that is served does not end its host; use server:stop()", 2)
    end
    if status ~= nil and type(status) ~= "boolean" and not math.tointeger(status) then
      error("os.exit: the status is an integer, true or false, this is a " .. type(status), 2)
    end
    exit_status = status == false and 1 or math.tointeger(status) or 0
    exit_event:set()
    pipe.event():wait()
  end

  local function compile()
    local chunk, message = load_file(options.script)
    if not chunk then
      error(message, 0)
    end
    return chunk
  end

  local function pack(...)
    return { n = select("#", ...), ... }
  end

  -- What a script returned, as plain data.
  local function outcome(results)
    local value, code, info = results[2], results[3], results[4]
    if value == nil and type(code) == "string" then
      local sentence = core.is_info(info) or type(info) == "string"
      return { code = code, message = sentence and tostring(info) or code }
    end
    return { value = math.type(value) == "integer" and value or value ~= false }
  end

  local hooks = {}

  --- serve: declares; nothing is bound yet. True: for all workers.
  function hooks.load()
    compile()()
    if not servers.declared() and not lifecycle.has_start() then
      error(options.script .. ": declares no pipehost.server and no pipehost.on_start", 0)
    end
    return servers.spread()
  end

  --- serve: could this take over what `served` tells of? Gives the sentence
  --- that says why not, or nil and the names to be given up; raises where migrate
  --- fails.
  function hooks.validate(served)
    return servers.validate(served)
  end

  --- serve: takes the names that are new, but not `left_out`; gives the sentence
  --- of a failure.
  function hooks.prepare(left_out)
    core.phase "running" -- for pipe.create; nothing of the script runs yet
    return servers.prepare(left_out)
  end

  --- serve: would the commit find what it takes over? Gives the sentence if not.
  function hooks.ready()
    return servers.ready()
  end

  --- serve: takes over the others, and lets the script run; gives the sentence of
  --- a failure.
  function hooks.commit()
    local failed = servers.begin()
    if failed then
      return failed
    end
    lifecycle.start()
  end

  --- run: the chunk is a task; servers listen at once.
  function hooks.run()
    core.phase "running"
    local chunk = compile()
    arg = options.arguments
    local task = pipe.spawn(chunk, table.unpack(options.arguments))
    if pipe.wait_any { task, exit_event } == exit_event then
      return { value = exit_status }
    end
    return outcome(pack(task:wait()))
  end

  -- The end of a check is not the script's to catch.
  local function pass_on(ok, message, ...)
    if not ok and core.checked(message) then
      error(message, 0)
    end
    return ok, message, ...
  end

  local function let_checks_end()
    local raw_pcall, raw_xpcall = pcall, xpcall
    function pcall(...)
      return pass_on(raw_pcall(...))
    end

    function xpcall(fn, handler, ...)
      return pass_on(raw_xpcall(fn, function(message)
        return core.checked(message) and message or handler(message)
      end, ...))
    end
  end

  --- check: as far as the first pipe operation.
  function hooks.check()
    core.phase "checking"
    arg = options.arguments or {}
    local chunk, raw_xpcall = compile(), xpcall
    let_checks_end()
    local ok, message = raw_xpcall(chunk, function(error_value)
      return core.checked(error_value) and error_value or debug.traceback(tostring(error_value), 2)
    end)
    if ok then
      return nil
    end
    local place = core.checked(message)
    if place then
      return (place:gsub(":%s*$", ""))
    end
    error(message, 0)
  end

  --- test: tells the runner of the file's tests and runs those that it names.
  function hooks.test(settings)
    arg = options.arguments or {}
    require("pipehost.test.dependencies").sources = options.sources_read
    require "pipehost.test.agent"(settings, compile)
  end

  --- Stops: no new clients, the others are served to the end, at most `ms`.
  function hooks.stop(ms)
    lifecycle.stop()
    return servers.stop_all(ms)
  end

  function hooks.status()
    return servers.status()
  end

  --- The files that the script was made of: path -> text.
  function hooks.sources()
    return options.sources_read()
  end

  --- reload: what this generation serves, for the candidate's validate.
  function hooks.served()
    return servers.served()
  end

  --- reload: the next generation takes these names anew.
  function hooks.give_up(keys, ms)
    servers.give_up(keys, ms)
  end

  --- reload: that one has failed.
  function hooks.restore()
    servers.restore()
  end

  --- reload: a later generation has been committed …
  function hooks.on_stop()
    lifecycle.stop()
  end

  --- … and the names that it does not declare are given back.
  function hooks.retire(ms)
    servers.retire(ms)
  end

  --- reload: some of the connections that pin this generation.
  function hooks.holders()
    return servers.holders()
  end

  --- reload --evict: what still pins this generation is cut.
  function hooks.evict()
    return servers.evict()
  end

  return hooks
end
