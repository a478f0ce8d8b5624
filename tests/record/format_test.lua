-- SPDX-License-Identifier: MIT
-- The file of a recording: what is written is read again, by hand too, and what is
-- wrong is told with its line.
local format = require "pipehost.record.format"
local t = require "pipehost.test"

local tests = {}

local SAMPLE = [[
pipehost-record 1
pipe ServerInfo
mode message
system windows

0.0        1 open
0.4        1 >     4  01 00 00 00                                     |....|
0.5        2 open
1.2        1 <    18  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|
                      67 ff                                           |g.|
1.3        2 >     0
1.9        1 close client
2.0        2 close
]]

local function events_of(recording)
  local list = {}
  for i, event in ipairs(recording.events) do
    list[i] = { event.ms, event.conn, event.kind, event.bytes or event.by }
  end
  return list
end

function tests.test_what_a_file_says()
  local recording = assert(format.parse(SAMPLE, "x.rec"))
  t.assertEquals(recording.header, { pipe = "ServerInfo", mode = "message", system = "windows" })
  t.assertEquals(events_of(recording), {
    { 0.0, 1, "open" }, { 0.4, 1, ">", "\1\0\0\0" }, { 0.5, 2, "open" }, { 1.2, 1, "<", "0123456789abcdefg\xff" },
    { 1.3, 2, ">", "" }, { 1.9, 1, "close", "client" }, { 2.0, 2, "close" },
  })
  t.assertEquals(recording.events[4].line, 9)
  t.assertEquals(recording.events[5].line, 11)
end

function tests.test_it_is_written_as_it_was()
  t.assertEquals(format.text(assert(format.parse(SAMPLE, "x.rec"))), SAMPLE)
end

function tests.test_what_people_may_write()
  local by_hand = [[
pipehost-record 1
# made by hand
mode byte
pipe Some Name
note to whom it concerns

# one client
0 7 open
12.25 7 > 3 61 6263
5 7 <    20   000102030405060708090a0b0c0d0e0f
   10
 11 12 13 | this is not looked at
10 7 close server]]
  local recording = assert(format.parse(by_hand:gsub("\n", "\r\n"), "x.rec"))
  t.assertEquals(recording.header, { pipe = "Some Name", mode = "byte", note = "to whom it concerns" })
  local bytes = {}
  for i = 0, 19 do
    bytes[i + 1] = string.char(i)
  end
  t.assertEquals(events_of(recording), {
    { 0, 7, "open" }, { 12.25, 7, ">", "abc" }, { 5, 7, "<", table.concat(bytes) }, { 10, 7, "close", "server" },
  })
end

function tests.test_text_that_looks_like_something_else()
  for _, bytes in ipairs { "|", "||||", " | 00", "# no", "\n\n", "\r\n", "0.0 1 open" } do
    local recording = { header = { pipe = "p", mode = "byte" }, events = {
      { ms = 0, conn = 1, kind = "open" }, { ms = 1, conn = 1, kind = "<", bytes = bytes },
    } }
    t.assertEquals(assert(format.parse(format.text(recording), "x")).events[2].bytes, bytes)
  end
end

local function random_recording(seed)
  math.randomseed(seed)
  local events, open, ms = {}, {}, 0
  for conn = 1, math.random(1, 4) do
    events[#events + 1] = { ms = ms, conn = conn, kind = "open" }
    open[conn] = conn
  end
  for _ = 1, math.random(0, 30) do
    ms = ms + math.random(0, 100) / 10
    local conn = open[math.random(#open)]
    local bytes = {}
    for i = 1, math.random(0, 3) * math.random(0, 20) do
      bytes[i] = string.char(math.random(0, 255))
    end
    local kind = math.random() < 0.5 and ">" or "<"
    events[#events + 1] = { ms = ms, conn = conn, kind = kind, bytes = table.concat(bytes) }
  end
  for _, conn in ipairs(open) do
    local by = ({ "client", "server" })[math.random(3)]
    events[#events + 1] = { ms = ms, conn = conn, kind = "close", by = by }
  end
  return { header = { pipe = "P", mode = math.random() < 0.5 and "byte" or "message" }, events = events }
end

function tests.test_any_recording_comes_back()
  local first = math.tointeger(tonumber(os.getenv "PH_SEED"))
  for seed = first or 1, first or 200 do
    local recording = random_recording(seed)
    local text = format.text(recording)
    local again = assert(format.parse(text, "seed" .. seed))
    t.assertEquals(#again.events, #recording.events)
    for i, event in ipairs(recording.events) do
      local got = again.events[i]
      t.assertEquals({ got.conn, got.kind, got.bytes, got.by }, { event.conn, event.kind, event.bytes, event.by },
        "PH_SEED=" .. seed)
      t.assertAlmostEquals(got.ms, event.ms, 0.051)
    end
    t.assertEquals(format.text(again), text)
  end
end

-- Cut anywhere, or with any byte changed: read, or refused with its line.
function tests.test_any_file_is_read_or_refused()
  for seed = 1, 300 do
    local text = format.text(random_recording(seed))
    local at = math.random(#text)
    local other = math.random() < 0.5 and text:sub(1, at)
      or text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
    local recording, message = format.parse(other, "x.rec")
    t.assertTrue(recording ~= nil or message:find "^x%.rec:%d+: " ~= nil, message)
  end
end

local HEADER = "pipehost-record 1\npipe P\nmode message\n\n"

function tests.test_each_mistake()
  for text, message in pairs {
    [""] = "x:1: this is no recording of pipehost; its first line would be 'pipehost-record 1'",
    ["hello\n"] = "x:1: this is no recording of pipehost; its first line would be 'pipehost-record 1'",
    ["pipehost-record 2\n"] = "x:1: version 2 is of a later pipehost; this one reads version 1",
    ["pipehost-record 1\nmode byte\n\n"] = "x:3: the header has no line 'pipe NAME'",
    ["pipehost-record 1\npipe P\n\n"] = "x:3: the header has no line 'mode message' or 'mode byte'",
    ["pipehost-record 1\npipe P\nmode x\n\n"] = "x:4: the header has no line 'mode message' or 'mode byte'",
    ["pipehost-record 1\npipe\n"] = "x:2: a line of the header is a word and its value",
    [HEADER .. "now\n"] = "x:5: an event is 'MS CONNECTION open|>|<|close …'",
    [HEADER .. "0 1 opens\n"] = "x:5: an event is open, >, < or close, not 'opens'",
    [HEADER .. "0 1 > 1 61\n"] = "x:5: connection 1 is not open",
    [HEADER .. "0 1 open\n0 1 open\n"] = "x:6: connection 1 is open already",
    [HEADER .. "0 1 open\n0 1 close\n1 1 > 1 61\n"] = "x:7: connection 1 is closed already",
    [HEADER .. "0 1 open\n0 1 close me\n"] = "x:6: 'close' is by client or server, not by 'me'",
    [HEADER .. "0 1 open\n0 1 > x\n"] = "x:6: after '>' comes the number of bytes",
    [HEADER .. "0 1 open\n0 1 > 2 6\n"] = "x:6: the bytes are pairs of hexadecimal digits",
    [HEADER .. "0 1 open\n0 1 > 2 6x\n"] = "x:6: the bytes are pairs of hexadecimal digits",
    [HEADER .. "0 1 open\n0 1 > 2 61\n1 1 close\n"] = "x:6: 2 bytes are announced, but there are 1",
    [HEADER .. "0 1 open\n0 1 > 1 61\n  62\n"] = "x:6: 1 bytes are announced, but there are 2",
    [HEADER .. "0 1 open\n  61\n"] = "x:6: this line goes on with the bytes of an event, but there is none before it",
  } do
    local recording, got = format.parse(text, "x")
    t.assertNil(recording, message)
    t.assertEquals(got, message)
  end
end

function tests.test_files()
  local recording, message = format.read(os.getenv "PH_TMP" .. "/nothing.rec")
  t.assertNil(recording)
  t.assertStrContains(message, "cannot read ")
end

return tests
