#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""The other end is ended by TerminateProcess, or killed, while an operation waits
for it; and who may use a served pipe, read back by a program that is not ours."""

import sys
import time

import common
import phtest
import wine

# Windows keeps GENERIC_ALL as all rights to a file, Wine as it was given.
FULL, GENERIC_ALL, DUPLEX_USERS = "1f01ff", "10000000", "12019b"
SYSTEM, ADMINISTRATORS, AUTHENTICATED = "S-1-5-18", "S-1-5-32-544", "S-1-5-11"

# A client that will be ended; it says what the server's process is.
PEER = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open((...), { timeout = 10000 }))
assert(conn:write "hello")
print "there"
pipe.sleep(60000)
"""

SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe, mode = "%s",
  session = function(conn)
    assert(conn:read(5))
    %s
    pipehost.log.info("waiting for " .. conn:peer().pid)
    local value, code, info = conn:%s
    pipehost.log.info(("got %%s %%s in %%s"):format(value, code, info.op))
  end,
}
"""

# A server that will be ended.
HOST = """
local pipe = require("pipehost").pipe
local name, mode, action = ...
local server = assert(pipe.create(name, { mode = mode, max_instances = 1, backlog = 1, first = true, timeout = 10000 }))
print "ready"
assert(server:connect())
if action == "reads" then assert(server:read(100)) end
print "there"
pipe.sleep(60000)
"""

CLIENT = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open((...), { timeout = 10000 }))
%s
print("waiting for " .. conn:peer().pid)
local value, code, info = conn:%s
print(value, code, info.op)
assert(conn:close() ~= nil)
print "went on"
"""

# Held, since a write that is collected is cancelled.
FILL = "local held repeat held = conn:write_op(('x'):rep(65536)) until not held:wait(50)"
# (name, mode, before it, the operation, what a server does first)
OPERATIONS = (
    ("receive", "message", "", "receive()", ""),
    ("read", "byte", "", "read(100)", ""),
    ("read_exact", "byte", "", "read_exact(100)", ""),
    ("send", "message", FILL, "send(('x'):rep(65536))", ""),
    ("write", "byte", FILL, "write(('x'):rep(65536))", ""),
    ("transact", "message", "", "transact 'question'", "reads"),
    ("flush", "message", "assert(conn:send 'unread')", "flush()", ""),
    ("flush of bytes", "byte", "assert(conn:write 'unread')", "flush()", ""),
)


class Case(phtest.TestCase):
    def script(self, text, name):
        return phtest.native(self.write_file(name, text))

    def serve(self, text):
        pipe = self.pipe_name()
        server = self.start("serve", self.script(text, "server.lua"), "--set", "pipe=" + pipe)
        self.addCleanup(lambda: server.running() and server.stop())
        server.wait_for("serving 1 script")
        return server, pipe

    def end(self, process, pid, terminate):
        """As TerminateProcess does, or as the system ends what has crashed."""
        if terminate:
            done = self.finish(wine.COMMAND + ["taskkill", "/F", "/PID", pid])
            self.assertEqual(done.status, 0, done)
            process.wait()
        process.kill()


class Killed(Case):
    def test_client_killed(self):
        peer_script = self.script(PEER, "peer.lua")
        for name, mode, before, operation, _ in OPERATIONS:
            with self.subTest(name):
                server, pipe = self.serve(SERVER % (mode, before, operation))
                for terminate in (True, False):
                    peer = self.start("run", peer_script, pipe)
                    pid = server.wait_for(r"waiting for (\d+)").group(1)
                    peer.wait_for("there")
                    time.sleep(0.05)
                    self.assertNotIn("got nil", server.lines[-1], "it has not waited")
                    self.end(peer, pid, terminate)
                    server.wait_for("got nil closed in ")
                self.assertEqual(server.stop(), 0, server)

    def host(self, pipe, mode, action=""):
        host = self.start("run", self.script(HOST, "host.lua"), pipe, mode, action)
        host.wait_for("ready")
        return host

    def test_server_killed(self):
        for terminate, (name, mode, before, operation, action) in enumerate(OPERATIONS):
            with self.subTest(name):
                pipe = self.pipe_name()
                host = self.host(pipe, mode, action)
                client = self.start("run", self.script(CLIENT % (before, operation), "c.lua"), pipe)
                pid = client.wait_for(r"waiting for (\d+)").group(1)
                host.wait_for("there")
                time.sleep(0.05)
                self.assertEqual(client.out.splitlines(), ["waiting for " + pid])
                self.end(host, pid, terminate % 2)
                self.assertEqual(client.wait(), 0, client)
                self.assertRegex(client.out, r"\nnil\tclosed\t\w+\nwent on$")

    def test_server_killed_while_a_client_waits_for_it(self):
        pipe = self.pipe_name()
        host = self.host(pipe, "message")
        taker = self.start("run", self.script(PEER, "peer.lua"), pipe)
        taker.wait_for("there")
        text = 'print "waiting"\nreturn require("pipehost").pipe.open((...), { timeout = 3000, wait = "free" })'
        client = self.start("run", self.script(text, "open.lua"), pipe)
        client.wait_for("waiting")
        time.sleep(0.1)
        host.kill()
        self.assertIn(client.wait(), (69, 75), client)
        self.assertRegex(client.err, f"^pipehost: open {pipe}: ")
        taker.kill()

    def test_clients_killed_as_they_come(self):
        server, pipe = self.serve(common.ECHO.replace('"Echo"', "pipehost.config.pipe"))
        text = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open((...), { timeout = 10000 }))
while conn:send "x" do conn:receive() end
"""
        script = self.script(text, "comes.lua")
        for i in range(12):
            client = self.start("run", script, pipe)
            time.sleep(0.02 * i)
            client.kill()
        ask = 'print(require("pipehost").pipe.call((...), "hello", { timeout = 10000 }))'
        done = self.run_pipehost("run", self.script(ask, "ask.lua"), pipe)
        self.assertEqual((done.status, done.out), (0, "hello"), (done, server))
        self.assertNotIn("error", server.err)

    def test_name_of_a_killed_server(self):
        """It is free when the system has cleaned up after the process."""
        pipe = self.pipe_name()
        for _ in range(4):
            self.host(pipe, "message").kill()
        self.host(pipe, "byte").kill()


class Access(Case):
    def entries(self, access):
        """The user, the owner, and who may do what."""
        text = common.ECHO.replace('"Echo",', "pipehost.config.pipe, " + access)
        _, pipe = self.serve(text)
        done = self.finish(phtest.program("interop/security_win32") + ["\\\\.\\pipe\\" + pipe])
        self.assertEqual(done.status, 0, done)
        words = [line.split() for line in done.out.splitlines()]
        self.assertEqual([word[0] for word in words[:3]], ["user", "owner", "protected"])
        self.assertEqual(words[2][1], "yes", "nothing is inherited")
        entries = [(kind, mask.replace(GENERIC_ALL, FULL), who) for kind, mask, who in words[3:]]
        return words[0][1], words[1][1], sorted(entries)

    def expect(self, access, *others):
        user, owner, entries = self.entries(access)
        self.assertEqual(owner, user)
        wanted = [("allow", FULL, SYSTEM), ("allow", FULL, user), *others]
        self.assertEqual(entries, sorted(wanted))

    def test_me(self):
        self.expect("")

    def test_admins(self):
        self.expect('access = "admins",', ("allow", DUPLEX_USERS, ADMINISTRATORS))

    def test_users(self):
        self.expect('access = "users",', ("allow", DUPLEX_USERS, AUTHENTICATED))

    def test_sddl(self):
        _, _, entries = self.entries('access = "D:P(A;;GA;;;WD)",')
        self.assertEqual(entries, [("allow", FULL, "S-1-1-0")])


if __name__ == "__main__":
    if not phtest.WINDOWS:
        sys.exit("killed_win32_test.py: PH_SYSTEM is not windows")
    phtest.main()
