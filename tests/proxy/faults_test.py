#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipehost proxy --fault, between real programs: what is said arrives as the fault
has it, and the closing line counts it."""

import proxying
import recording
import phtest
from recording import OK

# Sends its words without waiting, and prints what comes until the other end closes.
TALK = """
local pipe = require("pipehost").pipe
local conn <close> = assert(pipe.open((...), { timeout = 20000 }))
local begin = pipe.now()
for _, word in ipairs { select(2, ...) } do
  conn:send(word)
end
for message in conn:messages() do
  print(message)
end
io.stderr:write(("took %.0f\\n"):format(pipe.now() - begin))
"""

# The same on a byte pipe, in one write; prints all that came.
BYTE_TALK = """
local pipe = require("pipehost").pipe
local conn <close> = assert(pipe.open((...), { mode = "byte", timeout = 20000 }))
conn:write((select(2, ...)))
local all = ""
repeat
  local data = conn:read(1000)
  all = all .. (data or "")
until not data
if all ~= "" then
  print(all)
end
"""

# Says how long what it got at once was, and ends at a full stop.
BYTE_SERVER = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, mode = "byte", session = function(conn)
  local all = ""
  repeat
    local data = conn:read(1000)
    all = all .. (data or "")
  until not data or all:find("%.")
  pipehost.log.info("got " .. all)
  conn:write("you said " .. all)
end }
"""

# Says what the first read brought.
FIRST_READ = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, mode = "byte", session = function(conn)
  pipehost.log.info("got " .. conn:read(1000))
  conn:write "enough"
end }
"""


class Messages(proxying.Case):
    def said(self, *faults, words=("a", "b", "c"), counts=None, options=()):
        """What a client gets for its words through a proxy with these faults."""
        _, target = self.serve()
        specs = [word for text in faults for word in ("--fault", text)]
        proxy, pipe = self.proxy(target, "--connections", "1", *specs, *options)
        got = self.client(pipe, *words, "bye", text=TALK)
        self.ends(proxy, r"1 connection, \d+ messages?" + (f"; {counts}" if counts else ""))
        return got

    def test_none_happened(self):
        self.assertEqual(self.said("drop,nth=100", counts="no fault"), ["<a>", "<b>", "<c>"])

    def test_drop(self):
        self.assertEqual(self.said("in:drop,nth=2", counts="in:drop 1"), ["<a>", "<c>"])
        self.assertEqual(self.said("out:drop,from=2", counts="out:drop 2"), ["<a>"])

    def test_duplicate(self):
        got = self.said("in:duplicate,nth=1", "out:duplicate,nth=4", counts="in:duplicate 1, out:duplicate 1")
        self.assertEqual(got, ["<a>", "<a>", "<b>", "<c>", "<c>"])

    def test_split(self):
        self.assertEqual(self.said("in:split,to=1", words=["ab", "cd"], counts="in:split 1"), ["<a>", "<b>", "<cd>"])

    def test_join(self):
        self.assertEqual(self.said("in:join=20000,nth=1", counts="in:join 1"), ["<ab>", "<c>"])

    def test_cut(self):
        self.assertEqual(self.said("out:cut=4", counts="out:cut 1"), ["<a>", "<"])
        # What was under way back to the client is lost or not.
        got = self.said("in:cut=2", counts="in:cut 1")
        self.assertEqual(got, ["<a>", "<b>"][: len(got)])

    def test_corrupt(self):
        def corrupt(seed):
            return self.said("out:corrupt,nth=2", counts="out:corrupt 1", options=["--seed", seed])

        got = corrupt("1")
        self.assertEqual((len(got), got[0], got[2]), (3, "<a>", "<c>"))
        self.assertNotEqual(got[1], "<b>")
        self.assertEqual(corrupt("1"), got)

    def test_delay(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--connections", "1", "--fault", "delay=200,jitter=50,nth=1")
        client = self.background_client(pipe, "a", "bye", text=TALK)
        took = int(client.wait_for(r"took (\d+)").group(1))
        self.assertEqual(client.wait(), OK, client)
        self.assertEqual(client.out, "<a>")
        self.assertGreaterEqual(took, 300)
        self.ends(proxy, "1 connection, 3 messages; in:delay 1, out:delay 1")

    def test_stall(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--fault", "out:stall,nth=2")
        client = self.background_client(pipe, "a", "b", "c", text=TALK)
        client.wait_for("<a>")
        self.assertTrue(client.running())
        self.assertEqual(proxy.stop(), OK, proxy)
        client.wait_for("took")
        self.assertEqual(client.out, "<a>")
        self.assertIn("; out:stall 1", proxy.out)

    def test_refuse(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--connections", "1", "--fault", "refuse=2")
        got = [self.client(pipe, "a", "bye", text=TALK) for _ in range(3)]
        self.assertEqual(got, [[], [], ["<a>"]])
        self.ends(proxy, "1 connection, 3 messages; refuse 2")

    def test_each_is_told_with_v(self):
        _, target = self.serve()
        options = ["-v", "--connections", "1", "--fault", "refuse=1", "--fault", "in:drop,nth=2", "--fault", "out:duplicate,nth=2"]
        proxy, pipe = self.proxy(target, *options)
        self.assertEqual(self.client(pipe, "a", "bye", text=TALK), [])
        self.assertEqual(self.client(pipe, "a", "b", "c", "bye", text=TALK), ["<a>", "<c>", "<c>"])
        self.ends(proxy, r"1 connection, \d+ messages; refuse 1, in:drop 1, out:duplicate 1")
        told = [line.split("debug ")[1] for line in proxy.err.splitlines() if " of client " in line or " of message " in line]
        self.assertEqual(told, ["refuse of client 1", "in:drop of message 2", "out:duplicate of message 2"])

    def test_the_same_seed_has_the_same_faults(self):
        words = [str(i) for i in range(40)]

        def dropped(seed):
            return self.said("out:drop,chance=50%", words=words, counts=r"out:drop \d+", options=["--seed", seed])

        one = dropped("7")
        self.assertTrue(0 < len(one) < 40, one)
        self.assertEqual(dropped("7"), one)
        self.assertNotEqual(dropped("8"), one)


class Bytes(proxying.Case):
    def said(self, fault, text, counts):
        """What the client gets, and the server."""
        server, target = self.serve(BYTE_SERVER)
        proxy, pipe = self.proxy(target, "--mode", "byte", "--connections", "1", "--fault", fault)
        got = self.client(pipe, text, text=BYTE_TALK)
        self.ends(proxy, r"1 connection, \d+ chunks?; " + counts)
        return got, server.wait_for("got (.*)").group(1)

    def test_split_loses_nothing(self):
        self.assertEqual(self.said("split", "hello.", r"in:split \d+, out:split \d+"), (["you said hello."], "hello."))

    def test_split_and_delayed_each_byte_comes_alone(self):
        server, target = self.serve(FIRST_READ)
        faults = ["--fault", "in:split", "--fault", "in:delay=20"]
        proxy, pipe = self.proxy(target, "--mode", "byte", "--connections", "1", *faults)
        self.client(pipe, "hi.", text=BYTE_TALK)
        self.ends(proxy, r"1 connection, \d+ chunks; in:delay 1, in:split 1")
        server.wait_for("got h$")

    def test_cut(self):
        self.assertEqual(self.said("in:cut=3", "hello.", "in:cut 1"), ([], "hel"))
        self.assertEqual(self.said("out:cut=3", "hello.", "out:cut 1"), (["you"], "hello."))


class Crowd(proxying.Case):
    def test_much_is_late_but_whole(self):
        _, target = self.serve(recording.BYTE_ECHO)
        options = ["--mode", "byte", "--connections", "1", "--fault", "delay=2,jitter=2"]
        proxy, pipe = self.proxy(target, *options)
        self.assertEqual(self.client(pipe, text=recording.MUCH), ["true"])
        self.ends(proxy, r"1 connection, \d+ chunks; in:delay \d+, out:delay \d+")


if __name__ == "__main__":
    phtest.main()
