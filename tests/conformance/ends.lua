-- SPDX-License-Identifier: MIT
-- What the conformance tests share: the two ends of a pipe in one process, and
-- a second pipehost.
local pipe = require "pipehost.pipe"
local t = require "pipehost.test"

local M = {}

local folder = t.tmpdir() -- of the file
local LONG = 10000 -- ms; nothing here takes that long

---A connected server and client end of a fresh pipe.
---@param options? table as for pipe.create
---@param open_options? table as for pipe.open
---@return userdata server
---@return userdata client
---@return string name
function M.pair(options, open_options)
  local name = t.name()
  local server = assert(pipe.create(name, options))
  local client = assert(pipe.open(name, open_options))
  assert(server:connect(LONG))
  return server, client, name
end

function M.byte_pair()
  return M.pair({ mode = "byte" }, { mode = "byte" })
end

---The call gave nil, code, info.
---@param code string
function M.fails(code, ...)
  local value, got, info = ...
  t.assertNil(value)
  t.assertEquals(got, code, tostring(info))
  t.assertEquals(info.code, code)
  t.assertStrContains(tostring(info), code)
  return info
end

---fn raises, and the text contains `part`.
---@param part string
function M.raises(part, fn, ...)
  local ok, message = pcall(fn, ...)
  t.assertFalse(ok, "nothing was raised")
  t.assertStrContains(tostring(message), part)
  return message
end

---Waits for the operation's end and gives its result.
function M.finish(op)
  assert(op:wait(LONG))
  return op:result()
end

---Waits for a task's end and gives what its function returned.
function M.join(task)
  local ended, code = pipe.wait_all({ task }, LONG)
  assert(ended, code)
  return select(2, task:wait())
end

---Bytes in which no two places look alike.
function M.pattern(length)
  local parts = {}
  for i = 1, (length + 7) // 8 do
    parts[i] = ("%08x"):format(i * 2654435761 & 0xffffffff)
  end
  return table.concat(parts):sub(1, length)
end

---A write that cannot end while nobody reads: more than any system buffers.
function M.stuck_write(pipe_end)
  local op = pipe_end:write_op(("w"):rep(20 << 20))
  local done, code = op:wait(0)
  t.assertNil(done)
  t.assertEquals(code, "pending")
  return op
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

---A file of this run that goes with its <close> variable.
---@return { path: string, module: string } file module: for require beside it
function M.temporary(name, text)
  local module = t.name() .. "-" .. name
  local path = ("%s/%s.lua"):format(folder, module)
  write_file(path, text)
  return setmetatable({ path = path, module = module }, {
    __close = function()
      os.remove(path)
    end,
  })
end

---Starts a script in a second pipehost, which is to end by itself.
---@return fun(): string, integer finish waits for that; its output, both streams, and exit status
function M.start(text, ...)
  local file, line = M.temporary("child", text), { stderr = "stdout", t.program, "run" }
  for _, word in ipairs { file.path, ... } do
    line[#line + 1] = tostring(word)
  end
  local child = assert(t.spawn(line))
  return function()
    local status = assert(child:wait(LONG * 3))
    return child.stdout.text, status
  end
end

---Runs a script in a second pipehost; its output and exit status.
---@return string output both streams
---@return integer status
function M.run(text, ...)
  return M.start(text, ...)()
end

return M
