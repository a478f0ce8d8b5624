#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""The other end is killed with -9 while an operation waits for it: the script
learns `closed` and goes on."""

import os
import signal
import socket
import sys
import time

import common
import phtest

# Each does one operation on a pipe to a peer that will be killed in it.
CLIENT = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open("Peer", { mode = "%s", timeout = 10000 }))
%s
print "waiting"
local value, code, info = conn:%s
print(value, code, info.op)
assert(conn:close() ~= nil)
print "went on"
"""

SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = "Peer", mode = "%s",
  session = function(conn)
    %s
    pipehost.log.info "waiting"
    local value, code, info = conn:%s
    pipehost.log.info(("got %%s %%s in %%s"):format(value, code, info.op))
  end,
}
pipehost.server { name = "Echo", on_message = function(_, message) return message end }
"""

# Runs the command without AF_NETLINK (a filter of seccomp, for x86-64 and ARM):
# socket(16, …) fails with EAFNOSUPPORT.
WITHOUT_NETLINK = """
import ctypes, os, platform, struct, sys
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
code = b"".join(struct.pack("HBBI", *step) for step in (
    (LOAD, 0, 0, 0), (EQUAL, 0, 3, number), (LOAD, 0, 0, 16), (EQUAL, 0, 1, 16),
    (RETURN, 0, 0, 0x00050000 | 97), (RETURN, 0, 0, 0x7FFF0000)))
room = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(room))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit("no seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""

# (name, mode, before it, the operation, what the peer does first)
# The last one is held: a write that is collected is cancelled.
FILL = "local held repeat held = conn:write_op(('x'):rep(4096)) until not held:wait(20)"
OPERATIONS = (
    ("receive", "message", "", "receive()", ""),
    ("read", "byte", "", "read(100)", ""),
    ("read_exact", "byte", "", "read_exact(100)", "write"),
    ("send", "message", FILL, "send(('x'):rep(4096))", ""),
    ("write", "byte", FILL, "write(('x'):rep(1 << 20))", ""),
    ("transact", "message", "", "transact 'question'", "read one"),
    ("flush", "message", "assert(conn:send 'unread')", "flush()", ""),
    ("flush of bytes", "byte", "assert(conn:write 'unread')", "flush()", ""),
)
KINDS = {"message": "SOCK_SEQPACKET", "byte": "SOCK_STREAM"}


class Killed(common.Case):
    def test_server_killed(self):
        for name, mode, before, operation, action in OPERATIONS:
            with self.subTest(name):
                peer = self.peer("server", "Peer", action, KINDS[mode])
                peer.wait_for("ready")
                script = self.write_file("client.lua", CLIENT % (mode, before, operation))
                client = self.start("run", script)
                client.wait_for("waiting")
                peer.wait_for("there")
                time.sleep(0.02)
                self.assertEqual(client.out, "waiting", "it has not waited")
                peer.kill()
                self.assertEqual(client.wait(), 0, client)
                lines = client.out.splitlines()
                self.assertRegex(lines[1], r"^nil\tclosed\t\w+$")
                self.assertEqual(lines[2], "went on")
                os.unlink(self.path("Peer"))

    def test_client_killed(self):
        for name, mode, before, operation, action in OPERATIONS:
            with self.subTest(name):
                server = self.serve(SERVER % (mode, before, operation))
                self.before = common.descriptors(server.pid)
                peer = self.peer("client", "Peer", action, KINDS[mode])
                server.wait_for("waiting")
                peer.wait_for("there")
                time.sleep(0.02)
                self.assertNotIn("got nil", server.err, "it has not waited")
                peer.kill()
                server.wait_for("got nil closed in ")
                self.echo()
                self.unused(server)
                self.assertEqual(server.stop(), 0, server)

    def test_client_killed_before_it_is_accepted(self):
        text = """
local pipe = require("pipehost").pipe
local server = assert(pipe.create("Peer", { mode = "message", timeout = 10000 }))
print "created"
io.read()
assert(server:connect())
local value, code = server:receive()
print(value, code)
"""
        script = self.write_file("server.lua", text)
        server = self.start("run", script, stdin=-1)
        server.wait_for("created")
        peer = self.peer("client", "Peer")
        peer.wait_for("there")
        peer.kill()
        server.write(b"\n")
        server.wait_for("^nil\tclosed$")
        self.assertEqual(server.wait(), 0, server)

    def test_clients_killed_as_they_come(self):
        server = self.serve()
        self.before = common.descriptors(server.pid)
        self.echo()
        text = """
import os, signal, socket, sys
for i in range(400):
    pid = os.fork()
    if not pid:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        end.connect(sys.argv[1])
        if i % 3: end.send(b"x" * i)
        os.kill(os.getpid(), signal.SIGKILL)
    if i % 7 == 0: os.waitpid(pid, 0)
"""
        done = self.finish([sys.executable, "-c", text, self.path("Echo")], seconds=60)
        self.assertEqual(done.status, 0, done)
        self.echo()
        self.unused(server)
        self.assertNotIn(" error ", server.err)

    def test_server_killed_while_clients_wait_to_be_taken(self):
        text = 'return require("pipehost").pipe.open("Peer", { timeout = 600, wait = "free" })'
        peer = self.peer("server", "Peer", "no accept")
        peer.wait_for("ready")
        fillers = []
        try:
            for _ in range(64):
                filler = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                fillers.append(filler)
                filler.setblocking(False)
                filler.connect(self.path("Peer"))
        except BlockingIOError:
            pass
        client = self.start("run", self.write_file("client.lua", text))
        self.assertRaises(AssertionError, client.wait_for, "x", 0.2 / phtest.SLOW)
        peer.kill()
        self.assertIn(client.wait(), (69, 75), client)
        self.assertRegex(client.err, "^pipehost: open Peer: ")
        for filler in fillers:
            filler.close()

    def test_killed_with_much_unread(self):
        server = self.serve()
        self.before = common.descriptors(server.pid)
        flood = (
            "import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "s.connect(sys.argv[1])\ns.settimeout(0.3)\n"
            "try:\n  while True: s.send(b'x' * 4096)\nexcept OSError: pass\n"
            "print('full', flush=True)\nimport time\ntime.sleep(60)\n"
        )
        for _ in range(3):
            peer = self.spawn([sys.executable, "-c", flood, self.path("Echo")])
            peer.wait_for("full")
            peer.kill()
        self.echo()
        self.unused(server)


class Names(common.Case):
    def kill_server(self):
        server = self.serve()
        server.signal(signal.SIGKILL)
        server.wait()
        self.assertTrue(os.path.exists(self.path("Echo")))

    def test_left_by_a_killed_server(self):
        for _ in range(3):
            self.kill_server()
        server = self.serve()
        self.echo()
        self.assertIn("taken over", server.err)
        self.assertEqual(server.stop(), 0, server)
        # Its own control pipe is gone; those of the killed ones are not its.
        self.assertFalse(os.path.exists(self.path("Echo")))

    def test_ctl_does_not_see_killed_ones(self):
        self.kill_server()
        done = self.run_pipehost("ctl", "status")
        self.assertEqual(done.status, 69, done)
        server = self.serve()
        self.assertEqual(self.run_pipehost("ctl", "stop").status, 0)
        self.assertEqual(server.wait(), 0)

    def test_open_on_a_name_that_was_left(self):
        self.kill_server()
        text = 'return require("pipehost").pipe.open("Echo", { wait = "no" })'
        done = self.run_pipehost("run", self.write_file("open.lua", text))
        self.assertEqual(done.status, 69, done)
        self.assertRegex(done.err, "absent")

    def test_left_by_a_killed_server_where_the_kernel_does_not_tell(self):
        """A sandbox may forbid the list of sockets; the lock decides then."""
        self.kill_server()
        script = self.write_file("server.lua", common.ECHO)
        server = self.spawn([sys.executable, "-c", WITHOUT_NETLINK] + phtest.PIPEHOST + ["serve", script])
        server.wait_for("serving 1 script")
        self.echo()
        self.assertIn("taken over", server.err)
        self.assertRegex(self.create("Echo").err, "exists")
        self.assertEqual(server.stop(), 0, server)

    def create(self, name):
        text = 'return require("pipehost").pipe.create(%r, { mode = "message" })' % name
        return self.run_pipehost("run", self.write_file("create.lua", text))

    def test_served_by_a_living_one(self):
        self.serve()
        for name in ("Echo", "ECHO", "echo", "\\\\.\\pipe\\Echo"):
            done = self.create(name)
            self.assertEqual(done.status, 1, done)
            self.assertRegex(done.err, r"exists")
        self.echo()

    def test_served_by_a_program_that_is_not_ours(self):
        peer = self.peer("server", "Peer")
        peer.wait_for("ready")
        self.assertRegex(self.create("Peer").err, "exists")
        peer.kill()
        self.assertEqual(self.create("Peer").status, 0)

    def test_a_file_in_the_way(self):
        self.write_file("pipes/peer", "precious")
        done = self.create("Peer")
        self.assertRegex(done.err, "exists")
        with open(self.path("Peer")) as file:
            self.assertEqual(file.read(), "precious")


if __name__ == "__main__":
    phtest.main()
