# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""A script that goes on for ever while it is being loaded: the clients of others
are answered meanwhile, and the load ends in an error with its place."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# That the server may compute meanwhile.
ANSWER_MS = {"linux": 200, "linux-sanitize": 600, "windows": 400}[phtest.SYSTEM]

OTHER = """
local computed = require "computed"
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.name,
  on_message = function(_, message) return tostring(computed(message:match "%d+")) end,
}
"""
GOOD = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.name .. "-2", on_message = function(_, m) return m end }
"""
LONGER = r"budget: the script computed longer than 2000 ms while loading"
INSIDE = r"budget: the script computed longer than 100 ms while loading, inside a function that cannot be left"

# source, what the error says
LOADS = {
    "a loop": ("while true do end", r"bad\.lua:1: " + LONGER),
    "a loop in pcall": ("while true do\npcall(function()\nwhile true do end end) end", r"bad\.lua:\d: " + LONGER),
    "a loop in a coroutine": ("coroutine.wrap(function()\nwhile true do end end)()", r"bad\.lua:2: " + LONGER),
    "loops in coroutines": (
        "local function f(n) if n == 0 then while true do end end\ncoroutine.wrap(f)(n - 1) end\nf(20)",
        r"bad\.lua:1: " + LONGER,
    ),
    "a loop in a metamethod": (
        "local t = setmetatable({}, { __index = function()\nwhile true do end end })\nreturn t.x",
        r"bad\.lua:2: " + LONGER,
    ),
    "coroutines that yield": (
        "local f = coroutine.wrap(function() while true do coroutine.yield() end end)\nwhile true do f() end",
        r"bad\.lua:\d: " + LONGER,
    ),
    "a comparison for sort": (
        "table.sort({ 1, 2, 3 }, function()\nwhile true do end end)",
        r"bad\.lua:2: " + INSIDE,
    ),
    "a coroutine inside of gsub": (
        "('x'):gsub('.', coroutine.wrap(function()\nwhile true do end end))",
        r"bad\.lua:2: " + INSIDE,
    ),
    "a close method": (
        "local co = coroutine.create(function()\nlocal x <close> = setmetatable({}, { __close = function()\n"
        "while true do end end })\ncoroutine.yield(x) end)\ncoroutine.resume(co) coroutine.close(co)",
        r"bad\.lua:3: " + INSIDE,
    ),
    "a pattern": ("(('a'):rep(1e5)):find('a-a-a-a-b')", r"bad\.lua:1: " + INSIDE),
    "a source that compiles slowly": (
        "return x" + " or x" * 150000,
        r"bad\.lua: the source takes longer than 80 ms to compile",
    ),
    "a load that compiles slowly": (
        "assert(load('return x' .. (' or x'):rep(150000), '=made'))",
        r"made: the source takes longer than 80 ms to compile",
    ),
    "a long source": ("x = 1\n" * 200000, r"bad\.lua: the source is longer than 1048576 bytes"),
    "all memory": ("local t = {} while true do t[#t + 1] = ('x'):rep(1e6 + #t) end", r"bad\.lua:1: nomem: "),
    "a module that loops": ("require 'slow_module'", r"slow_module\.lua:2: " + LONGER),
}


class Loading(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.bad = self.write_file("bad.lua", GOOD)
        self.write_file("slow_module.lua", "\nwhile true do end")
        other = self.write_file("other.lua", OTHER)
        self.settings = ["--set", "name=" + self.pipe_name()]
        self.control = self.pipe_name()
        self.server = self.start(
            "serve", "--control", self.control, "--path", phtest.native(HERE), *self.settings,
            phtest.native(self.bad), phtest.native(other),
        )
        self.server.wait_for("serving 2 scripts")

    def load(self, source):
        """What the reload says, and the most ms between two answers to a client
        of the other script."""
        self.write_file("bad.lua", source)
        stop = os.path.join(self.folder, "stop")
        client = self.start(
            "run", *self.settings, "--set", f"pid={self.server.pid}", "--set", "stop=" + phtest.native(stop),
            phtest.native(os.path.join(HERE, "loading_client.lua")),
        )
        client.wait_for("asking")
        done = self.run_pipehost("ctl", "--control", self.control, "reload", seconds=60)
        self.write_file("stop", "")
        self.assertEqual(client.wait(), 0, client)
        os.unlink(stop)
        self.assertEqual(done.status, 65, done)
        return done.out + done.err, float(client.out.splitlines()[-1])

    def check(self, source, expected):
        said, most = self.load(source)
        self.assertRegex(said, expected)
        self.assertLess(most, ANSWER_MS)

    def test_loads_that_never_end(self):
        for name, (source, expected) in LOADS.items():
            with self.subTest(name):
                self.check(source, expected)
        self.write_file("bad.lua", GOOD + "-- changed")
        done = self.run_pipehost("ctl", "--control", self.control, "reload")
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.out, r"bad\.lua: generation 2")
        self.assertEqual(self.server.stop(), 0, self.server)


if __name__ == "__main__":
    phtest.main()
