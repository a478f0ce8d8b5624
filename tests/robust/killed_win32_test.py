#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The other end is ended by TerminateProcess while an operation waits for it,
and who may use a served pipe, read back by a program that is not ours."""

import sys

import common
import phtest

# Windows keeps GENERIC_ALL as all rights to a file, Wine as it was given.
FULL, GENERIC_ALL, DUPLEX_USERS = "1f01ff", "10000000", "12019b"
SYSTEM, ADMINISTRATORS, AUTHENTICATED = "S-1-5-18", "S-1-5-32-544", "S-1-5-11"

PEER = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open((...), { timeout = 10000 }))
assert(conn:send "hello")
print "there"
pipe.sleep(60000)
"""

SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe, mode = "message",
  session = function(conn)
    assert(conn:receive())
    %s
    pipehost.log.info "waiting"
    local value, code, info = %s
    pipehost.log.info(("got %%s %%s in %%s"):format(value, code, info.op))
  end,
}
"""

HOST = """
local pipe = require("pipehost").pipe
local server = assert(pipe.create((...), { mode = "message", timeout = 10000 }))
print "there"
assert(server:connect())
assert(server:receive())
print "asked"
pipe.sleep(60000)
"""

ASK = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open((...), { timeout = 10000 }))
print(select(2, conn:transact "question"))
print "went on"
"""

FILL = "while conn:write_op(('x'):rep(65536)):wait(20) do end"
# A flush that begins when the client has gone succeeds at once.
FLUSH = """
    assert(conn:send "unread")
    local op = conn:flush_op()
    assert(not op:wait(200))
    local function ended() op:wait() return op:result() end
"""
OPERATIONS = (
    ("receive", "", "conn:receive()"),
    ("send", FILL, "conn:send(('x'):rep(65536))"),
    ("flush", FLUSH, "ended()"),
    ("transact", "", "conn:transact 'question'"),
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


class Killed(Case):
    def test_client_killed(self):
        peer_script = self.script(PEER, "peer.lua")
        for name, before, operation in OPERATIONS:
            with self.subTest(name):
                server, pipe = self.serve(SERVER % (before, operation))
                for _ in range(2):
                    peer = self.start("run", peer_script, pipe)
                    server.wait_for("waiting")
                    peer.kill()
                    server.wait_for("got nil closed in ")
                self.assertEqual(server.stop(), 0, server)

    def test_server_killed_in_a_transact(self):
        pipe = self.pipe_name()
        server = self.start("run", self.script(HOST, "host.lua"), pipe)
        server.wait_for("there")
        client = self.start("run", self.script(ASK, "ask.lua"), pipe)
        server.wait_for("asked")
        server.kill()
        self.assertEqual(client.wait(), 0, client)
        self.assertRegex(client.out, r"^closed\t.*\nwent on$")


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
