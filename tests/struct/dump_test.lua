-- SPDX-License-Identifier: MIT
-- pipehost.struct: the bytes as people read them.
local struct = require "pipehost.struct"
local t = require "pipehost.test"

local tests = {}

local Point = struct("<!8", { { "tag", "B" }, { "x", "I2" } })
local Message = struct("<!8", {
  { "magic", "I4", equals = 0x1234 },
  { "kind", "B", enum = { ask = 1 } },
  { "mode", "B", flags = { r = 1, w = 2 } },
  { "p", Point },
  { "name", "char[12]" },
  { "ids", "I2", count = 2 },
})

local good = Message:pack {
  kind = "ask", mode = { r = true, w = true }, p = { tag = 2, x = 3 }, name = "someone", ids = { 4, 5 },
}

local function dumps(of, bytes, expected)
  t.assertEquals("\n" .. of:dump(bytes) .. "\n", expected)
end

function tests.test_good_bytes()
  dumps(Message, good, [[

   0  34 12 00 00              magic = 4660
   4  01                       kind = ask
   5  03                       mode = { r, w }
   6                           p:
   6  02                         tag = 2
   7  00                         (padding)
   8  03 00                      x = 3
  10  73 6f 6d 65 6f 6e 65 00  name = someone
  18  00 00 00 00
  22                           ids:
  22  04 00                      [1] = 4
  24  05 00                      [2] = 5
  26  00 00                    (padding)
]])
end

function tests.test_too_few_bytes()
  dumps(Message, good:sub(1, 9), [[

   0  34 12 00 00              magic = 4660
   4  01                       kind = ask
   5  03                       mode = { r, w }
   6                           p:
   6  02                         tag = 2
   7  00                         (padding)
   8  03                         x = (1 of 2 bytes)
  10                           name = (missing)
  22                           ids:
  22                             [1] = (missing)
  24                             [2] = (missing)
]])
end

function tests.test_wrong_bytes()
  dumps(Message, "\0\0\0\0\7\xff" .. good:sub(7) .. "xyz", [[

   0  00 00 00 00              magic = (expected 4660 (0x1234), got 0)
   4  07                       kind = (expected one of ask, got 7)
   5  ff                       mode = (expected only bits of 0x3, got 255 (0xff))
   6                           p:
   6  02                         tag = 2
   7  00                         (padding)
   8  03 00                      x = 3
  10  73 6f 6d 65 6f 6e 65 00  name = someone
  18  00 00 00 00
  22                           ids:
  22  04 00                      [1] = 4
  24  05 00                      [2] = 5
  26  00 00                    (padding)
  28  78 79 7a                 (3 bytes too many)
]])
end

function tests.test_constant_with_an_inside()
  dumps(struct("<", { { "ids", "B", count = 2, equals = { 1, 2 } } }), "\1\3", [[

   0                           ids:  (expected 01 02  |..|)
   0  01                         [1] = 1
   1  03                         [2] = 3
]])
end

function tests.test_long_fields_are_cut()
  local of = struct("<", { { "blob", "c100" }, { "many", "B", count = 66 }, { "rest", "bytes" } })
  local text = of:dump(("x"):rep(100) .. ("\1"):rep(66) .. "end")
  t.assertStrContains(text, "(68 bytes more)\n")
  t.assertStrContains(text, "\n 163  01                         [64] = 1\n")
  t.assertStrContains(text, "  (2 elements more)\n 166  65 6e 64                 rest = end")
  local _, lines = text:gsub("\n", "\n")
  t.assertEquals(lines, 4 + 1 + 64 + 1 + 1 - 1)
end

function tests.test_text_keeps_to_its_line()
  local of = struct("<", { { "text", "char[4]" }, { "c", "c2" }, { "n", "i8" }, { "d", "d" } })
  local text = of:dump(of:pack { text = "a\nb", c = "\xff\0", n = -1, d = 0.5 })
  t.assertStrContains(text, "text = 61 0a 62  |a.b|\n")
  t.assertStrContains(text, "c = ff 00  |..|\n")
  t.assertStrContains(text, "n = -1\n")
  t.assertStrContains(text, "d = 0.5")
  t.assertStrContains(of:dump(of:pack { text = "", c = "", n = -1, d = 0.5 }), "text = \"\"\n")
end

function tests.test_tails()
  local of = struct("<", { { "a", "B" }, { "text", "s2" } })
  t.assertEquals(of:dump "\1\2\0hi", ("   0  01 %22sa = 1\n   1  02 00 68 69 %13stext = hi"):format("", ""))
  t.assertEquals(of:dump "\1\2\0h",
    ("   0  01 %22sa = 1\n   1  02 00 68 %16stext = (expected 2 bytes after its length, got 1)"):format("", ""))
  t.assertStrContains(of:dump "", "text = (expected a length of 2 bytes, got 0)")
end

return tests
