-- SPDX-License-Identifier: MIT
-- Turns a recording into a script that plays one end of it with handshake steps.
local scripts = require "pipehost.record.script"

local PIECE = 64 -- bytes of a text in one line
local TIMEOUT = 5000 -- ms, in the script

local M = {}

-- Values as source ------------------------------------------------------------------

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local function quote_piece(bytes)
  return '"' .. bytes:gsub('[%c"\\\x7f-\xff]', function(c)
    return escapes[c] or ("\\x%02x"):format(c:byte())
  end) .. '"'
end

-- Long texts in pieces, one below the other.
local function quote(bytes, indent)
  local byte = bytes:sub(1, 1)
  if #bytes > PIECE and bytes == byte:rep(#bytes) then
    return ("(%s):rep(%d)"):format(quote_piece(byte), #bytes)
  end
  local pieces = {}
  for from = 1, math.max(#bytes, 1), PIECE do
    pieces[#pieces + 1] = quote_piece(bytes:sub(from, from + PIECE - 1))
  end
  return table.concat(pieces, "\n" .. indent .. "  .. ")
end

local source

local function number_source(value)
  if value == math.mininteger then
    return "math.mininteger"
  elseif math.type(value) == "integer" then
    return ("%d"):format(value)
  elseif value ~= value or value == math.huge or value == -math.huge then
    error("no source", 0)
  end
  local text = ("%.17g"):format(value)
  return text:find "[.e]" and text or text .. ".0"
end

local keywords = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true "
  .. "until while"):gmatch "%a+" do
  keywords[word] = true
end

local function is_name(text)
  return type(text) == "string" and text:find "^[%a_][%w_]*$" ~= nil and not keywords[text]
end

local function key_source(key)
  return is_name(key) and key or ("[%s]"):format(source(key, ""))
end

local function table_source(values, indent)
  local parts, keys = {}, {}
  for key in pairs(values) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  if #values == #keys then
    for i, value in ipairs(values) do
      parts[i] = source(value, indent)
    end
  else
    for i, key in ipairs(keys) do
      parts[i] = ("%s = %s"):format(key_source(key), source(values[key], indent))
    end
  end
  return #parts > 0 and "{ " .. table.concat(parts, ", ") .. " }" or "{}"
end

function source(value, indent)
  local kind = type(value)
  if kind == "string" then
    return quote(value, indent)
  elseif kind == "number" then
    return number_source(value)
  elseif kind == "table" then
    return table_source(value, indent)
  end
  return tostring(value)
end

-- Structs -----------------------------------------------------------------------------

-- The name of the struct in the protocol's file, nil when it has none.
local function name_of(protocol, struct)
  if protocol.source == struct then
    return "protocol"
  end
  local names = {}
  for key, value in pairs(protocol.source) do
    if value == struct and is_name(key) then
      names[#names + 1] = key
    end
  end
  -- `client` and `server` only where there is nothing better.
  table.sort(names, function(a, b)
    local plain_a, plain_b = a == "client" or a == "server", b == "client" or b == "server"
    if plain_a ~= plain_b then
      return plain_b
    end
    return a < b
  end)
  return names[1] and "protocol." .. names[1]
end

-- Bytes as a struct with its values, where packing these gives the same bytes.
local function struct_source(protocol, turn)
  if not protocol or not turn.direction then
    return nil
  end
  local struct, values = protocol:decode(turn.direction, turn.bytes)
  local name = struct and name_of(protocol, struct)
  if not name or struct:try_pack(values) ~= turn.bytes then
    return nil
  end
  local ok, text = pcall(source, values, "")
  return ok and name or nil, text
end

-- Steps -------------------------------------------------------------------------------

local writers = {}

-- A step with a struct, where the bytes are one that has a name, or with the bytes.
local function with_bytes(by_struct, by_bytes)
  return function(turn, protocol, indent)
    local name, values = struct_source(protocol, turn)
    if name then
      return by_struct:format(name, values)
    end
    return by_bytes:format(quote(turn.bytes, indent))
  end
end

writers.send = with_bytes("s.send(%s, %s)", "s.send(%s)")
writers.expect = with_bytes("s.expect(%s, { fields = %s })", "s.expect(%s)")

function writers.close()
  return "s.close()"
end

function writers.expect_close()
  return "s.expect_close()"
end

local function steps_source(connection, protocol, indent)
  local lines = {}
  for i, turn in ipairs(connection.turns) do
    lines[i] = ("%s%s,"):format(indent, writers[turn.kind](turn, protocol, indent))
  end
  return #lines > 0 and table.concat(lines, "\n") or indent .. "s.wait(0),"
end

-- The list of connections; where some were open side by side, `after` says which
-- ones had ended before each was opened.
local function connections_source(list, protocol)
  local lines = { "local connections = {" }
  for _, connection in ipairs(list) do
    lines[#lines + 1] = "  {\n" .. steps_source(connection, protocol, "    ") .. "\n  },"
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n")
end

-- Scripts -----------------------------------------------------------------------------

local CLIENT = [[
local function play(steps)
  assert(pipehost.handshake { pipe = name, mode = "@MODE@", timeout = @TIMEOUT@, steps = steps })
end
]]

local ONE_BY_ONE = [[
for _, steps in ipairs(connections) do
  play(steps)
end
]]

local SIDE_BY_SIDE = [[
-- The connections that have to be over before each one is opened.
local after = @AFTER@
local tasks = {}
for i, steps in ipairs(connections) do
  for _, j in ipairs(after[i]) do
    tasks[j]:wait()
  end
  tasks[i] = pipehost.pipe.spawn(play, steps)
end
for _, task in ipairs(tasks) do
  task:wait()
end
]]

local SERVER = [[
local over, done, failed = 0, pipehost.pipe.event(), nil

pipehost.server {
  name = name, mode = "@MODE@", timeout = @TIMEOUT@,
  steps = function(conn)
    return connections[conn.id] or { s.close() }
  end,
  on_close = function(_, _, info)
    over, failed = over + 1, failed or info
    if failed or over == #connections then
      done:set()
    end
  end,
}
done:wait()
if failed then
  return nil, failed.code, failed
end
]]

local function after_source(list)
  local all, overlap = {}, false
  for i in ipairs(list) do
    local before = scripts.before(list, i)
    overlap = overlap or #before < i - 1
    all[i] = "{ " .. table.concat(before, ", ") .. " }"
  end
  return overlap and "{ " .. table.concat(all, ", ") .. " }"
end

local function body(role, list)
  if role == "server" then
    return SERVER
  end
  local after = after_source(list)
  return CLIENT .. "\n" .. (after and SIDE_BY_SIDE:gsub("@AFTER@", after) or ONE_BY_ONE)
end

local function module_name(path)
  return path:match("[^/\\]+$"):gsub("%.lua$", "")
end

---The script, for `pipehost run SCRIPT [PIPE]`.
---@param recording pipehost.record.recording
---@param role "client" | "server"
---@param protocol? pipehost.record.protocol
---@param protocol_path? string
---@return string
function M.text(recording, role, protocol, protocol_path)
  local list = scripts.of(recording, role, protocol and protocol.frame)
  local uses = protocol and ('local protocol = require "%s"\n'):format(module_name(protocol_path)) or ""
  local head = ([[
-- The %s's end of %s, as it was recorded.
--
--   pipehost run SCRIPT [PIPE]
local pipehost = require "pipehost"
%slocal s = pipehost.steps
local name = ... or %s
]]):format(role, (recording.path or "a recording"):match "[^/\\]+$", uses, quote_piece(recording.header.pipe))
  local text = body(role, list):gsub("@MODE@", recording.header.mode):gsub("@TIMEOUT@", TIMEOUT)
  return ("%s\n%s\n\n%s"):format(head, connections_source(list, protocol), text)
end

return M
