#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipehost proxy without faults, between real programs: nobody notices it."""

import proxying
import recording
import phtest
from recording import OK, UNAVAILABLE, USAGE

# So many clients at once, each with messages of its own.
CROWD = """
local pipe = require("pipehost").pipe
local name, count = ...
local tasks = {}
for i = 1, tonumber(count) do
  tasks[i] = pipe.spawn(function()
    local conn <close> = assert(pipe.open(name, { timeout = 60000 }))
    for j = 1, 10 do
      local word = i .. "." .. j
      assert(conn:transact(word) == "<" .. word .. ">")
    end
  end)
end
for _, task in ipairs(tasks) do
  assert(task:wait())
end
print "all"
"""

# Sends for as long as somebody takes it; somebody who does not.
FLOOD = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, session = function(conn)
  repeat until not conn:send(("x"):rep(1000))
end }
"""
DEAF = """
local pipe = require("pipehost").pipe
local conn <close> = assert(pipe.open((...), { timeout = 20000 }))
print "open"
pipe.sleep(60000)
"""


class Messages(proxying.Case):
    def test_a_conversation(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--connections", "1")
        self.assertEqual(self.client(pipe, "one", "", "bye"), ["<one>", "<>", "(closed)"])
        self.ends(proxy, "1 connection, 5 messages")
        self.assertNotIn("one", proxy.err)

    def test_what_goes_over_is_shown(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--connections", "1", "-v")
        self.client(pipe, "one", "", "x" * 40)
        self.ends(proxy, "1 connection, 6 messages")
        shown = [line.split("connection 1: ")[1] for line in proxy.err.splitlines() if "connection 1: " in line]
        self.assertEqual(
            shown,
            [
                "open",
                "> 6f 6e 65  |one|",
                "< 3c 6f 6e 65 3e  |<one>|",
                "> (empty)",
                "< 3c 3e  |<>|",
                "> " + "78 " * 32 + " |" + "x" * 32 + "| … 40 bytes in all",
                "< 3c " + "78 " * 31 + " |<" + "x" * 31 + "| … 42 bytes in all",
                "close client",
            ],
        )

    def test_the_server_closes(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--connections", "1", "-v")
        self.assertEqual(self.client(pipe, "bye"), ["(closed)"])
        self.ends(proxy, "1 connection, 1 message")
        self.assertIn("connection 1: close server", proxy.err)

    def test_many_connections(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--connections", "50")
        self.assertEqual(self.client(pipe, "50", text=CROWD), ["all"])
        self.ends(proxy, "50 connections, 1000 messages")

    def test_a_stop_ends_the_conversations(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target)
        client = self.background_client(pipe, "one", text=recording.CLIENT + "conn:receive()\nprint 'over'\n")
        client.wait_for("<one>")
        self.assertEqual(proxy.stop(), OK, proxy)
        client.wait_for("over")
        self.assertRegex(proxy.out, "1 connection, 2 messages$")

    def test_a_stop_while_a_client_does_not_read(self):
        _, target = self.serve(FLOOD)
        proxy, pipe = self.proxy(target)
        client = self.background_client(pipe, text=DEAF)
        client.wait_for("open")
        self.assertEqual(proxy.stop(), OK, proxy)
        self.assertRegex(proxy.out, r"1 connection, \d+ messages$")

    def test_a_client_that_is_killed(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--connections", "2")
        client = self.background_client(pipe, "one", text=recording.CLIENT + "conn:receive()\n")
        client.wait_for("<one>")
        client.kill()
        self.assertEqual(self.client(pipe, "two"), ["<two>"])
        self.ends(proxy, "2 connections, 4 messages")

    def test_a_server_that_is_not_there(self):
        proxy, pipe = self.proxy(self.pipe_name(), "--timeout", "100")
        text = recording.CLIENT.replace("assert(conn:send(word))", "conn:send(word)")
        self.assertEqual(self.client(pipe, "x", text=text), ["(closed)"])
        proxy.wait_for("connection 1: open .*absent")
        self.assertEqual(proxy.stop(), OK, proxy)
        self.assertRegex(proxy.out, "0 connections, 0 messages$")

    def test_a_server_of_the_other_mode(self):
        _, target = self.serve(recording.BYTE_SERVER)
        proxy, pipe = self.proxy(target)
        text = recording.CLIENT.replace("assert(conn:send(word))", "conn:send(word)")
        self.assertEqual(self.client(pipe, "x", text=text), ["(closed)"])
        proxy.wait_for("connection 1: open .*another mode.*; --mode tells which")

    def test_a_message_that_is_too_long(self):
        _, target = self.serve()
        proxy, pipe = self.proxy(target, "--max-message", "100", "--connections", "1")
        text = recording.CLIENT.replace("assert(conn:send(word))", "conn:send(word:rep(200))")
        self.assertEqual(self.client(pipe, "x", text=text), ["(closed)"])
        proxy.wait_for("connection 1: .*toobig")
        self.ends(proxy, "1 connection, 0 messages")

    def test_one_proxy_behind_the_other(self):
        _, target = self.serve()
        one, middle = self.proxy(target, "--connections", "1")
        two, pipe = self.proxy(middle, "--connections", "1")
        self.assertEqual(self.client(pipe, "one"), ["<one>"])
        self.ends(two, "1 connection, 2 messages")
        self.ends(one, "1 connection, 2 messages")


class Bytes(proxying.Case):
    def test_lines(self):
        _, target = self.serve(recording.BYTE_SERVER)
        proxy, pipe = self.proxy(target, "--mode", "byte", "--connections", "2")
        for _ in range(2):
            out = self.client(pipe, "1", "one", "two", text=recording.BYTE_CLIENT)
            self.assertEqual(out, ["you said one", "you said two"])
        self.ends(proxy, r"2 connections, \d+ chunks")

    def test_much_in_both_directions(self):
        _, target = self.serve(recording.BYTE_ECHO)
        proxy, pipe = self.proxy(target, "--mode", "byte", "--connections", "1")
        self.assertEqual(self.client(pipe, text=recording.MUCH), ["true"])
        self.ends(proxy, r"1 connection, \d+ chunks")


class Refused(proxying.Case):
    def refused(self, status, pattern, *arguments):
        done = self.run_pipehost("proxy", *arguments)
        self.assertEqual(done.status, status, done)
        self.assertRegex(done.err, "pipehost: .*" + pattern)
        self.assertEqual(done.out, "")

    def test_a_pipe_that_is_taken(self):
        _, pipe = self.serve()
        self.refused(UNAVAILABLE, "exists", pipe, self.pipe_name())

    def test_a_name_that_is_none(self):
        self.refused(UNAVAILABLE, "pipe name has no", "a/b", "x")

    def test_usage(self):
        self.refused(USAGE, "missing argument 'target'", "x")
        self.refused(USAGE, "clients open one pipe, the server has another", "Pipe", "pipe")
        self.refused(USAGE, "--mode", "a", "b", "--mode", "x")
        self.refused(USAGE, "above 0", "a", "b", "--connections", "0")
        self.refused(USAGE, "milliseconds", "a", "b", "--timeout", "x")
        self.refused(USAGE, "above 0", "a", "b", "--max-message", "0")

    def test_help(self):
        done = self.run_pipehost("proxy", "--help")
        self.assertEqual(done.status, OK)
        self.assertIn("Stand between clients and a server, and make faults between them.", done.out)


if __name__ == "__main__":
    phtest.main()
