-- SPDX-License-Identifier: MIT
-- The command line. Runs in the main state as a task; its result is the exit
-- status.
local core = require "pipehost.core"
local lfs = require "lfs"

local EXIT_OK, EXIT_USAGE = 0, 2

local commands = {
  "serve", "run", "check", "test", "ctl", "connect", "list", "init", "record", "replay", "transcript", "proxy",
}

local function add_completion(parser)
  local command = parser:command("completion", "Print a shell's completion script.")
  command:argument("shell", "bash, zsh or fish."):choices { "bash", "zsh", "fish" }
end

-- Each command's module takes its time to load: with `only`, a command's name, the
-- others stay out.
local function new_parser(only)
  local argparse = require "argparse"
  local parser = argparse("pipehost", "Named pipes with Lua handlers: serves, calls and tests them.")
  parser:command_target("command"):require_command(false)
  parser:flag("--version", "Print the version.")
  parser:flag("--licenses", "Print the licences of what the program contains.")
  parser:option("--scripts", "Use the Lua library in DIR instead of the built-in one."):argname("DIR")
  parser:flag("-v --verbose", "Log more: debug lines and tracebacks.")
  parser:flag("-q --quiet", "Log errors only.")
  parser:option("--log-format", "text or json."):choices { "text", "json" }:default("text")
  for _, name in ipairs(commands) do
    if not only or name == only then
      require("pipehost.command." .. name).options(parser)
    end
  end
  add_completion(parser)
  return parser
end

local function print_licenses()
  local names = core.library_names()
  for _, name in ipairs(names) do
    local title = name:match("^licenses/(.*)%.txt$")
    if title then
      print(("== %s\n\n%s\n"):format(title, core.library_text(name)))
    end
  end
end

local function set_log(args)
  core.host.set_log {
    level = args.verbose and "debug" or args.quiet and "error" or "info",
    json = args.log_format == "json",
    colour = core.host.is_terminal "stderr" and not os.getenv "NO_COLOR",
    traces = args.verbose,
  }
end

-- `run` passes what follows its script on untouched, options included.
local value_options = {
  ["--set"] = true, ["--rename"] = true, ["--faults"] = true, ["--path"] = true,
  ["--log-format"] = true, ["--scripts"] = true, ["--drain"] = true, ["--workers"] = true,
}

local function split_arguments(list)
  local own, command, i = {}, nil, 1
  while i <= #list do
    local word = list[i]
    own[#own + 1] = word
    if value_options[word] then
      i = i + 1
      own[#own + 1] = list[i]
    elseif word:sub(1, 1) ~= "-" then
      if command == "run" then
        return own, { table.unpack(list, i + 1) }, command
      end
      command = command or word
    end
    i = i + 1
  end
  return own, {}, command
end

-- The command's name, where nothing is asked for that is about all of them.
local function only_command(own, command)
  for _, word in ipairs(own) do
    if word == command then
      break
    elseif word == "-h" or word == "--help" then
      return nil
    end
  end
  for _, name in ipairs(commands) do
    if name == command then
      return name
    end
  end
end

local function print_version(options)
  print("pipehost " .. options.version .. " (" .. _VERSION .. ")")
  return EXIT_OK
end

-- A script without a command before it is an easy mistake.
local function usage(message)
  local word = message:match "^unknown command '(.*)'"
  if word and lfs.attributes(word, "mode") then
    message = ("unknown command '%s'; of a script: pipehost serve %s, or run, check, test"):format(word, word)
  end
  io.stderr:write("pipehost: ", message, "\nTry 'pipehost --help'.\n")
  return EXIT_USAGE
end

return function(options)
  local own, rest, command = split_arguments(options.arguments)
  if #own == 1 and own[1] == "--version" then
    return print_version(options)
  end
  local parser = new_parser(only_command(own, command))
  if #own == 0 then
    io.stderr:write(parser:get_help(), "\n")
    return EXIT_USAGE
  end
  local ok, args = parser:pparse(own)
  if not ok then
    return usage(args)
  end
  set_log(args)
  if args.version then
    return print_version(options)
  elseif args.licenses then
    print_licenses()
    return EXIT_OK
  elseif args.command == "completion" then
    print(parser["get_" .. args.shell .. "_complete"](parser))
    return EXIT_OK
  elseif not args.command then
    return usage("a command is needed")
  end
  args.rest, args.library, args.version_text = rest, options.library, options.version
  args.folders = options.folders
  local given = args.faults and args.faults[1] -- most starts have no need of the module
  local faults <close> = given and require("pipehost.fault_plan").start_words(args.faults) -- luacheck: ignore 211
  return require("pipehost.command." .. args.command).main(args)
end
