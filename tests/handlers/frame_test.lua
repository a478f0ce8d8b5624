-- SPDX-License-Identifier: MIT
-- Byte pipes whose bytes are cut into messages: `frame`.
local ends = require "ends"
local pipe = require "pipehost.pipe"
local pipehost = require "pipehost"
local serve = require "serve"
local t = require "pipehost.test"

local tests = {}

local Header = pipehost.struct("<", { name = "header", { "length", "I4" } })
local Inner = pipehost.struct(">", { name = "inner", { "version", "I2", equals = 7 }, { "spare", "I2" } })
local Rich = pipehost.struct(">!4", {
  name = "rich",
  { "magic", "c2", equals = "PH" },
  { "kind", "I1", default = 9 },
  { "size", "I4" },
  { "inner", Inner },
})

local function framed_pair(frame, options)
  options = options or {}
  options.mode, options.frame = "byte", frame
  return ends.pair(options, { mode = "byte", frame = frame, timeout = 10000 })
end

-- On pipes ----------------------------------------------------------------------

function tests.test_whole_messages()
  local server, client = framed_pair(Header)
  for _, message in ipairs { "one", "", ("x"):rep(60000) } do
    local sent = pipe.spawn(client.send, client, message)
    t.equal_bytes(server:receive(10000), message)
    t.assertTrue(ends.join(sent))
  end
  assert(server:send "back")
  t.equal_bytes(client:read_exact(8), "\4\0\0\0back")
end

function tests.test_the_other_end_needs_no_frame()
  local server, client = framed_pair(Header)
  assert(client:write "\5\0\0\0he")
  ends.fails("timeout", server:receive(20))
  assert(client:write "llo\2\0\0\0")
  t.equal_bytes(server:receive(10000), "hello")
  ends.fails("timeout", server:receive(20))
  assert(client:write "yo")
  t.equal_bytes(server:receive(10000), "yo")
end

function tests.test_a_part_stays_readable_after_a_timeout()
  local server, client = framed_pair(Header)
  assert(client:write "\5\0\0\0he")
  ends.fails("timeout", server:receive(20))
  t.equal_bytes(server:read(100, 10000), "\5\0\0\0he")
end

function tests.test_messages()
  local server, client = framed_pair(Header)
  for _, message in ipairs { "a", "", "c" } do
    assert(client:send(message))
  end
  assert(client:write "\9\0\0\0never all of it")
  client:close()
  local got = {}
  for message in server:messages() do
    got[#got + 1] = message
    if #got == 4 then
      break
    end
  end
  t.assertEquals(got, { "a", "", "c", "never all" })
end

function tests.test_constants_defaults_and_a_length_with_the_header()
  t.assertEquals(Rich.size, 12)
  local server, client = framed_pair { Rich, field = "size", includes_header = true }
  assert(client:send "body")
  t.equal_bytes(server:read_exact(16), "PH\9\0\0\0\0\16\0\7\0\0body")
  assert(client:write "PH\1\0\0\0\0\15\0\7\xff\xffxyz")
  t.equal_bytes(server:receive(10000), "xyz") -- no constants there
  assert(client:write "PH\9\0\0\0\0\15\0\8\0\0xyz")
  local info = ends.fails("protocol", server:receive(10000))
  t.assertStrContains(tostring(info), "receive ")
  t.assertStrContains(tostring(info), "constants")
  t.equal_bytes(server:read(100), "PH\9\0\0\0\0\15\0\8\0\0xyz")
end

function tests.test_with_its_header()
  local Typed = pipehost.struct("<", { name = "typed", { "kind", "I2" }, { "length", "I2" } })
  local server, client = framed_pair { Typed, keep_header = true }
  assert(client:send(Typed:pack { kind = 5, length = 0 } .. "abc"))
  local message = server:receive(10000)
  t.equal_bytes(message, "\5\0\3\0abc")
  t.assertEquals(Typed:unpack(message:sub(1, Typed.size)), { kind = 5, length = 3 })
  ends.raises("begins with its header", client.send, client, "abc")
end

function tests.test_longer_than_max_message()
  local server, client = framed_pair(Header, { max_message = 10 })
  assert(client:write "\11\0\0\0")
  ends.fails("toobig", server:receive(10000))
  ends.fails("toobig", server:send(("x"):rep(11)))
  assert(server:send(("x"):rep(10)))
  t.assertEquals(#client:receive(), 10)
  local Short = pipehost.struct("<", { { "length", "I1" } })
  local one, two = framed_pair(Short)
  local info = ends.fails("toobig", one:send(("x"):rep(256)))
  t.assertStrContains(tostring(info), "length can say")
  assert(one:send(("x"):rep(255)))
  t.assertEquals(#two:receive(), 255)
end

function tests.test_lines()
  local server, client = framed_pair "lines"
  assert(client:send "one")
  assert(client:write "two\r\n\nlast")
  client:close()
  local got = {}
  for line in server:messages() do
    got[#got + 1] = line
  end
  t.assertEquals(got, { "one", "two", "", "last" })
end

function tests.test_operations()
  local server, client = framed_pair(Header)
  local reads = { server:receive_op(), server:receive_op() }
  assert(ends.finish(client:send_op "first"))
  assert(ends.finish(client:send_op "second"))
  t.assertEquals(ends.finish(reads[1]), "first")
  t.assertEquals(ends.finish(reads[2]), "second")
end

function tests.test_open_takes_the_mode_that_there_is()
  local name = t.name()
  local server = assert(pipe.create(name, { mode = "byte", frame = "lines" }))
  local client = assert(pipe.open(name, { frame = "lines" }))
  assert(server:connect(10000))
  assert(client:send "x")
  t.assertEquals(server:receive(10000), "x")
  local messages = ends.pair(nil, { frame = "lines" })
  t.assertEquals(messages:info().mode, "message")
end

function tests.test_what_is_no_frame()
  local name = t.name()
  local Floating = pipehost.struct("<", { { "length", "f" } })
  local Named = pipehost.struct("<", { { "length", "I2", enum = { none = 0 } } })
  local Fixed = pipehost.struct("<", { { "length", "I2", equals = 4 } })
  local Growing = pipehost.struct("<", { { "length", "I2" }, { "rest", "bytes" } })
  local Huge = pipehost.struct("<", { { "length", "I2" }, { "rest", "c4095" } })
  for part, frame in pairs {
    ["it is \"lines\", a pipehost.struct"] = "line",
    ["it is \"lines\", a pipehost.struct, or"] = { 5 },
    ["has no field 'length'"] = Rich,
    ["struct rich has no field 'bulk'"] = { Rich, field = "bulk" },
    ["did you mean 'includes_header'"] = { Header, include_header = true },
    ["field 'length' is to be a plain integer"] = Floating,
    ["'length' is to be a plain integer"] = Named,
    ["is to be a plain integer of at most"] = Fixed,
    ["to have a fixed size"] = Growing,
    ["at most 4096 bytes"] = Huge,
  } do
    local message = ends.raises(part, pipe.create, name, { mode = "byte", frame = frame })
    t.assertStrContains(message, "option 'frame'")
  end
  ends.raises("needs mode = \"byte\"", pipe.create, name, { frame = "lines" })
  ends.raises("needs mode = \"byte\"", pipe.open, name, { mode = "message", frame = "lines" })
  local bytes = ends.byte_pair()
  ends.raises("use write", bytes.send, bytes, "x")
  ends.raises("with a frame", bytes.receive, bytes, 0)
end

-- On servers ---------------------------------------------------------------------

function tests.test_on_message_with_a_header()
  local server, reasons = serve.serve {
    mode = "byte", frame = Header,
    on_message = function(conn, message)
      if message == "both" then
        assert(conn:send "first")
        return "second"
      end
      return message:upper()
    end,
  }
  local client = serve.open(server, { frame = Header })
  assert(client:send "abc")
  t.assertEquals(client:receive(), "ABC")
  assert(client:send "both")
  t.assertEquals(client:receive(), "first")
  t.assertEquals(client:receive(), "second")
  assert(client:write "\1\0\0\0a\1\0\0\0b\1\0\0")
  t.equal_bytes(client:read_exact(10), "\1\0\0\0A\1\0\0\0B")
  assert(client:write "\0c")
  t.assertEquals(client:receive(), "C")
  client:close()
  t.assertEquals(reasons(), "closed")
end

function tests.test_on_message_with_lines()
  local server = serve.serve {
    mode = "byte", frame = "lines",
    on_message = function(_, line)
      return line:reverse()
    end,
  }
  local client = serve.open(server)
  assert(client:write "abc\r\ndef\nlast")
  t.equal_bytes(client:read_exact(8), "cba\nfed\n")
  assert(client:write "\n")
  t.equal_bytes(client:read_exact(5), "tsal\n")
end

function tests.test_a_session_with_a_frame()
  local server = serve.serve {
    mode = "byte", frame = Header,
    session = function(conn)
      for message in conn:messages() do
        assert(conn:send(message .. "!"))
      end
    end,
  }
  local client = serve.open(server, { frame = Header })
  for _, message in ipairs { "a", "b" } do
    assert(client:send(message))
    t.assertEquals(client:receive(), message .. "!")
  end
end

-- `bytes` end their client for `protocol`; another one's `good` is echoed.
local function ends_for_protocol(options, bytes, good_bytes)
  options.mode = "byte"
  function options.on_message(_, message)
    return message
  end
  local server, reasons = serve.serve(options)
  local good, bad = serve.open(server), serve.open(server)
  assert(bad:write(bytes))
  local _, code = bad:read_exact(1, 10000)
  t.assertEquals(code, "closed")
  t.assertEquals(reasons(), "protocol")
  assert(good:write(good_bytes))
  t.equal_bytes(good:read_exact(#good_bytes), good_bytes)
end

function tests.test_a_frame_that_is_too_long_ends_that_client_alone()
  ends_for_protocol({ frame = Header, max_message = 100 }, "\101\0\0\0", "\1\0\0\0x")
end

function tests.test_a_line_that_is_too_long_ends_that_client_alone()
  ends_for_protocol({ frame = "lines", max_message = 100 }, ("x"):rep(101), "x\n")
end

function tests.test_a_wrong_header_ends_that_client_alone()
  ends_for_protocol({ frame = { Rich, field = "size" } }, "GET / HTTP/1.1\r\n", "PH\9\0\0\0\0\1\0\7\0\0x")
end

return tests
