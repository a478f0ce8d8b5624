-- SPDX-License-Identifier: MIT
-- Recordings whose structs are known: fields that are hidden or not compared, and
-- byte pipes that are cut into messages.
local compare = require "pipehost.record.compare"
local fields = require "pipehost.record.fields"
local frames = require "pipehost.record.frames"
local pipehost = require "pipehost"
local protocols = require "pipehost.record.protocol"
local redact = require "pipehost.record.redact"
local t = require "pipehost.test"

local tests = {}

local User = pipehost.struct("<!8", {
  name = "user", { "id", "I2" }, { "password", "char[6]" }, { "pins", "I4", count = 2 },
})
local Login = pipehost.struct("<!8", {
  name = "login", { "kind", "I1", enum = { login = 1, logout = 2 } }, { "user", User },
  { "others", User, count = 2 }, { "wide", "wchar[4]" }, { "note", "s2" },
})

local function user(id, password)
  return { id = id, password = password, pins = { 7, 8 } }
end

local function login(changes)
  local values = {
    kind = "login", user = user(1, "secret"), others = { user(2, "abc"), user(3, "") }, wide = "Zö", note = "hello",
  }
  for key, value in pairs(changes or {}) do
    values[key] = value
  end
  return Login:pack(values)
end

function tests.test_places_are_those_of_the_fields()
  local list = {}
  for i, place in ipairs(fields.places(Login, 200)) do
    list[i] = ("%s %d %d"):format(place.path, place.offset, place.size)
  end
  t.assertEquals(list, {
    "kind 0 1", "user.id 4 2", "user.password 6 6", "user.pins[1] 12 4", "user.pins[2] 16 4",
    "others[1].id 20 2", "others[1].password 22 6", "others[1].pins[1] 28 4", "others[1].pins[2] 32 4",
    "others[2].id 36 2", "others[2].password 38 6", "others[2].pins[1] 44 4", "others[2].pins[2] 48 4",
    "wide 52 8", "note 60 140",
  })
end

local function meant(name)
  local list = {}
  for _, place in ipairs(fields.places(Login, 100)) do
    list[#list + 1] = fields.meant(place, name) and place.path or nil
  end
  return table.concat(list, " ")
end

function tests.test_names_mean_places()
  t.assertEquals(meant "password", "user.password others[1].password others[2].password")
  t.assertEquals(meant "user.password", "user.password")
  t.assertEquals(meant "others.password", "others[1].password others[2].password")
  t.assertEquals(meant "others[2].pins", "")
  t.assertEquals(meant "others[2].pins[1]", "others[2].pins[1]")
  t.assertEquals(meant "pins", "user.pins[1] user.pins[2] others[1].pins[1] others[1].pins[2] others[2].pins[1] "
    .. "others[2].pins[2]")
  t.assertEquals(meant "user", "user.id user.password user.pins[1] user.pins[2]")
  t.assertEquals(meant "pass", "")
  t.assertEquals(fields.unknown({ Login, User }, "password"), nil)
  t.assertEquals(fields.unknown({ Login }, "pasword"), "no struct has a field 'pasword' (did you mean 'password'?)")
end

-- Hiding -----------------------------------------------------------------------------------

local function hidden(...)
  return assert(Login:unpack(redact.hide(Login, login(), { ... })))
end

function tests.test_text_becomes_stars_and_numbers_zero()
  local values = hidden "password"
  t.assertEquals(values.user.password, "******")
  t.assertEquals(values.others[1].password, "***")
  t.assertEquals(values.others[2].password, "")
  t.assertEquals(values.user.id, 1)
  t.assertEquals(hidden("pins").others[2].pins, { 0, 0 })
  t.assertEquals(hidden("wide").wide, "**")
  t.assertEquals(hidden("note").note, "*****")
  t.assertEquals(hidden("user", "note").user, { id = 0, password = "******", pins = { 0, 0 } })
  t.equal_bytes(redact.hide(Login, login(), { "nothing" }), login())
end

function tests.test_the_size_stays()
  for _, name in ipairs { "password", "user", "wide", "note", "kind", "pins" } do
    t.assertEquals(#redact.hide(Login, login(), { name }), #login())
  end
end

-- Comparing --------------------------------------------------------------------------------

local protocol = protocols.of({ client = { User, Login }, server = function(bytes)
  return #bytes == User.size and User or nil
end }, "p.lua")

local function difference(expected, got, matching)
  matching.protocol = protocol
  return compare.difference(matching, ">", expected, got)
end

function tests.test_exact()
  t.assertNil(difference("abc", "abc", {}))
  t.assertStrContains(difference("abc", "abd", {}), "first difference, offset 2")
  local lines = difference(login(), login { note = "hullo" }, {})
  t.assertStrContains(lines, "first difference, offset 63")
  t.assertStrContains(lines, "got, as struct login:")
  t.assertStrContains(lines, "note = hullo")
end

function tests.test_anything()
  t.assertNil(difference("abc", "", { any = true }))
end

function tests.test_fields_that_are_ignored()
  local one, other = login(), login { user = user(1, "public"), note = "something longer" }
  t.assertNotNil(difference(one, other, {}))
  t.assertNotNil(difference(one, other, { ignore = { "password" } }))
  t.assertNotNil(difference(one, other, { ignore = { "note" } }))
  t.assertNil(difference(one, other, { ignore = { "note", "user.password" } }))
  t.assertNil(difference(one, login { kind = "logout" }, { ignore = { "kind" } }))
  -- What was hidden in the recording need not fit its struct.
  t.assertNil(difference(redact.hide(Login, one, { "kind" }), one, { ignore = { "kind" } }))
  -- Another struct than the recorded one is a difference.
  t.assertNotNil(difference(User:pack(user(1, "x")), one, { ignore = { "user", "others", "note", "wide", "kind" } }))
end

-- Protocols --------------------------------------------------------------------------------

function tests.test_the_first_struct_that_fits()
  t.assertEquals(protocol:decode(">", login()), Login)
  t.assertEquals(protocol:decode(">", User:pack(user(1, "x"))), User)
  t.assertEquals(protocol:decode("<", User:pack(user(1, "x"))), User)
  t.assertNil(protocol:decode("<", "x"))
  t.assertNil(protocol:decode(">", "x"))
  t.assertEquals(protocols.of(User, "p"):decode("<", User:pack(user(1, "x"))), User)
end

function tests.test_files_that_are_no_protocol()
  for message, module in pairs {
    ["p.lua: returns a number, not a struct and not a table with client, server or frame"] = 5,
    ["p.lua: returns a table without client, server or frame; these say which structs each end sends"] = { x = User },
    ["p.lua: 'client' is a struct, a list of structs or a function, not a string"] = { client = "x" },
    ["p.lua: 'client' is a struct, a list of structs or a function, not a table"] = { client = {} },
    ["p.lua: 'server' has \"x\" at 2, which is no struct"] = { server = { User, "x" } },
    ["p.lua: option 'frame': struct user has no field 'length' for the length"] = { frame = User },
  } do
    local ok, got = pcall(protocols.of, module, "p.lua")
    t.assertFalse(ok)
    t.assertEquals(got, message)
  end
end

-- Frames -----------------------------------------------------------------------------------

local Header = pipehost.struct(">", { name = "header", { "length", "I2" }, { "kind", "B" } })

local function cut(value, bytes)
  local list, rest = frames.cut(assert(frames.of(value)), bytes)
  list[#list + 1] = "rest " .. rest
  return list
end

function tests.test_bytes_are_cut_into_messages()
  t.assertEquals(cut("lines", "one\ntwo\r\n\nthree"), { "one\n", "two\r\n", "\n", "rest three" })
  t.assertEquals(cut(Header, "\0\3Kabc\0\0L\0\2Mx"), { "\0\3Kabc", "\0\0L", "rest \0\2Mx" })
  t.assertEquals(cut({ Header, includes_header = true }, "\0\5Kab\0\3L\0\4"), { "\0\5Kab", "\0\3L", "rest \0\4" })
  -- A length that cannot be ends the cutting, not the program.
  t.assertEquals(cut({ Header, includes_header = true }, "\0\2K"), { "rest \0\2K" })
  local Kind = pipehost.struct("<", { { "magic", "c2", equals = "PH" }, { "size", "I1" } })
  t.assertEquals(cut({ Kind, field = "size" }, "PH\1xXX\1y"), { "PH\1x", "rest XX\1y" })
end

return tests
