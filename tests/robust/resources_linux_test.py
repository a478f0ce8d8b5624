#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""Descriptors, memory and processor time: what clients can cost a server. The
CPU time that is measured is the server's own."""

import array
import os
import signal
import socket
import subprocess
import time

import common
import phtest

IDLE_SHARE = 0.05

LAST_WORDS = """
local pipehost = require "pipehost"
pipehost.server {
  name = "Echo", mode = "%s",
  session = function(conn)
    assert(conn:read(1))
    assert(conn:%s "last words")
  end,
}
"""

CHILD = """
local function child(command)
  local handle <close> = assert(io.popen(command))
  return handle:read "a"
end
"""


class Descriptors(common.Case):
    def setUp(self):
        super().setUp()
        self.server = self.serve()
        self.echo()
        self.before = None
        self.before = phtest.eventually(self.settled, what="a settled number of descriptors")

    def settled(self):
        """The number of descriptors, when it was the same a moment before."""
        last, self.before = self.before, common.descriptors(self.server.pid)
        return self.before if self.before == last else None

    def test_clients_that_come_and_go(self):
        for _ in range(200):
            self.echo()
        self.unused(self.server)
        before = common.resident_kib(self.server.pid)
        for _ in range(200):
            self.echo()
            self.connect().close()
        self.unused(self.server)
        if not phtest.SANITIZE:  # it keeps what was freed for a while
            self.assertLess(common.resident_kib(self.server.pid) - before, 512)

    def test_clients_at_the_same_time(self):
        for _ in range(3):
            clients = [self.connect() for _ in range(100)]
            for client in clients:
                client.send(b"x")
            for client in clients:
                self.assertEqual(client.recv(8), b"x")
                client.close()
        self.unused(self.server)

    def pushed(self, end, data, process, after=lambda: None):
        """Descriptors sent along with data must not become the process's, nor
        stay open."""
        before = common.descriptors(process.pid)
        reader, writer = os.pipe()
        rights = array.array("i", [writer] * 10)
        for _ in range(20):
            end.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            after()
        self.assertEqual(common.descriptors(process.pid), before)
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"", "somebody holds the other end")
        os.close(reader)

    def test_descriptors_pushed_by_a_client(self):
        client = self.connect()

        def answered():
            self.assertEqual(client.recv(64), b"hello")

        client.send(b"hello")
        answered()
        self.pushed(client, b"hello", self.server, answered)
        client.close()
        self.unused(self.server)

    def pusher(self, text, kind):
        """A script that is the client of a server which is ours here."""
        listener = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(listener.close)
        listener.settimeout(10 * phtest.SLOW)
        listener.bind(self.path("Pusher"))
        listener.listen(1)
        script = self.write_file("client.lua", text)
        client = self.start("run", script)
        end, _ = listener.accept()
        self.addCleanup(end.close)
        end.settimeout(10 * phtest.SLOW)
        client.wait_for("reads")
        return end, client

    def test_descriptors_pushed_by_a_server(self):
        for mode, kind, call in (
            ("message", socket.SOCK_SEQPACKET, 'assert(conn:receive() == "data")'),
            ("message", socket.SOCK_SEQPACKET, "repeat until conn:read(3) == 'a'"),
            ("message", socket.SOCK_SEQPACKET, 'repeat until conn:peek().left == 4 conn:receive()'),
            ("byte", socket.SOCK_STREAM, 'assert(conn:read_exact(4) == "data")'),
        ):
            with self.subTest(call):
                text = f"""
local pipe = require("pipehost").pipe
local conn = assert(pipe.open("Pusher", {{ mode = "{mode}", timeout = 10000 }}))
print "reads"
while true do
  {call}
  assert(conn:write "got")
end
"""
                end, client = self.pusher(text, kind)
                self.pushed(end, b"data", client, lambda end=end: end.recv(64))
                client.kill()
                os.unlink(self.path("Pusher"))

    def test_pushed_descriptors_unread(self):
        client = self.connect()
        reader, writer = os.pipe()
        client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer]))])
        client.close()
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")
        os.close(reader)
        self.unused(self.server)


class Busy(common.Case):
    def quiet(self, server):
        """It computes next to nothing while nothing happens."""
        share = phtest.eventually(
            lambda: min(common.idle_share(server.pid), IDLE_SHARE) < IDLE_SHARE, what="idleness"
        )
        self.assertTrue(share)
        self.assertLess(common.idle_share(server.pid), IDLE_SHARE)

    def test_nobody(self):
        self.quiet(self.serve())

    def half_closed(self, how):
        server = self.serve()
        clients = [self.connect() for _ in range(100)]
        for client in clients:
            client.send(b"x")
            self.assertEqual(client.recv(8), b"x")
            client.shutdown(how)
        self.quiet(server)
        self.echo()
        for client in clients:
            client.close()
        self.echo()
        self.assertEqual(server.stop(), 0, server)

    def test_clients_that_write_no_more(self):
        self.half_closed(socket.SHUT_WR)

    def test_clients_that_read_no_more(self):
        self.half_closed(socket.SHUT_RD)

    def test_clients_that_do_neither(self):
        self.half_closed(socket.SHUT_RDWR)

    def test_half_closed_clients_of_a_session_that_waits(self):
        text = """
local pipehost = require "pipehost"
pipehost.server { name = "Echo", mode = "message", session = function(conn)
  local message = assert(conn:receive())
  conn:send(message)
  if message == "x" then pipehost.pipe.event():wait() end
end }
"""
        server = self.serve(text)
        clients = [self.connect() for _ in range(100)]
        for client in clients:
            client.send(b"x")
            self.assertEqual(client.recv(8), b"x")
            client.shutdown(socket.SHUT_WR)
        for client in clients[:50]:
            client.close()
        self.quiet(server)
        self.echo()

    def test_bytes_out_of_band(self):
        """They are no data, but the kernel calls the socket readable."""
        text = """
local pipehost = require "pipehost"
pipehost.server { name = "Lines", mode = "byte", session = function(conn)
  for line in conn:lines() do conn:write(line .. "\\n") end
end }
"""
        server = self.serve(text)
        clients = [self.connect("Lines", socket.SOCK_STREAM) for _ in range(20)]
        for client in clients:
            client.send(b"x", socket.MSG_OOB)
        self.quiet(server)
        for client in clients:
            client.send(b"one\n")
            self.assertEqual(client.recv(8), b"one\n")

    def test_clients_that_do_not_read(self):
        server = self.serve()
        clients = [self.connect() for _ in range(10)]
        for client in clients:
            client.settimeout(0.2)
            try:
                while True:
                    client.send(b"x" * 4096)
            except TimeoutError:
                pass
        self.quiet(server)
        self.echo()

    def test_no_descriptors_left(self):
        script = self.write_file("server.lua", common.ECHO)
        command = ["prlimit", "--nofile=40:40"] + phtest.PIPEHOST + ["serve", script]
        server = self.spawn(command)
        self.addCleanup(lambda: server.running() and server.stop())
        server.wait_for("serving 1 script")
        # What it cannot take waits in its backlog.
        clients = []
        while "no client can be accepted" not in server.err:
            clients.append(self.connect())
            self.assertLess(len(clients), 60)
            time.sleep(0.02)
        self.quiet(server)
        self.assertEqual(server.err.count("no client can be accepted"), 1, server)
        clients[0].send(b"still served")
        self.assertEqual(clients[0].recv(64), b"still served")
        for client in clients:
            client.close()
        phtest.eventually(lambda: common.descriptors(server.pid) < 20, what="descriptors again")
        self.echo()
        self.assertEqual(server.stop(), 0, server)

    def test_no_descriptors_left_for_a_client(self):
        text = """
local pipe = require("pipehost").pipe
local instance = assert(pipe.create("Many", { backlog = 100 }))
local conns, code, info = {}, nil, nil
repeat
  conns[#conns + 1], code, info = pipe.open("Many")
until code
print(code, info.os, info)
print(pipe.create "Other")
table.remove(conns):close()
assert(pipe.open("Many"))
"""
        script = self.write_file("client.lua", text)
        done = self.finish(["prlimit", "--nofile=40:40"] + phtest.PIPEHOST + ["run", script])
        self.assertEqual(done.status, 0, done)
        first, second = done.out.splitlines()
        self.assertRegex(first, "^nomem\t24\topen Many: no descriptor is left")
        self.assertRegex(second, "^nil\tnomem\tcreate Other: no descriptor is left")

    def test_limit_is_raised(self):
        script = self.write_file("server.lua", common.ECHO)
        command = ["prlimit", "--nofile=64:1024"] + phtest.PIPEHOST + ["serve", script]
        server = self.spawn(command)
        server.wait_for("serving 1 script")
        clients = [self.connect() for _ in range(200)]
        for client in clients:
            client.send(b"x")
        for client in clients:
            self.assertEqual(client.recv(8), b"x")
        self.assertEqual(server.stop(), 0, server)


class Endings(common.Case):
    """The server closes at once: what it has sent arrives all the same."""

    def last_words(self, mode, method, kind):
        server = self.serve(LAST_WORDS % (mode, method))
        for unread in (0, 1, 50):
            for _ in range(20):
                client = self.connect(kind=kind)
                client.send(b"go")
                for _ in range(unread):
                    try:
                        client.send(b"more" * 100)
                    except OSError:
                        break
                self.assertEqual(self.read_all(client), b"last words")
                client.close()
        self.assertNotIn("error", server.err)

    @staticmethod
    def read_all(client):
        data = b""
        while True:
            more = client.recv(100)
            if not more:
                return data
            data += more

    def test_messages(self):
        self.last_words("message", "send", socket.SOCK_SEQPACKET)

    def test_bytes(self):
        self.last_words("byte", "write", socket.SOCK_STREAM)

    def test_no_sigpipe(self):
        """A client that closes before its replies are written."""
        server = self.serve()
        for _ in range(100):
            client = self.connect()
            for _ in range(20):
                client.send(b"x" * 1000)
            client.close()
        self.echo()
        self.assertEqual(server.stop(), 0, server)

    def test_no_sigpipe_on_stdout(self):
        text = 'for i = 1, 100000 do if not print(("x"):rep(1000)) and i % 100 == 0 then end end\n'
        reader, writer = os.pipe()
        os.close(reader)
        command = phtest.PIPEHOST + ["run", self.write_file("print.lua", text)]
        done = subprocess.run(command, env=self.env, stdout=writer, timeout=60, check=False)
        os.close(writer)
        self.assertEqual(done.returncode, 0)


class Children(common.Case):
    """What a script starts gets nothing of the host but its three streams."""

    def run_child(self, command, before=""):
        text = CHILD + before + f"\nio.write(child [[{command}]])\n"
        done = self.run_pipehost("run", self.write_file("child.lua", text))
        self.assertEqual(done.status, 0, done)
        return done.out

    BUSY = """
local pipe = require("pipehost").pipe
local instance = assert(pipe.create("A", { mode = "message" }))
local connecting = instance:connect_op()
local conn = assert(pipe.open "A")
assert(connecting:wait(1000))
"""

    def test_descriptors(self):
        out = self.run_child("ls -l /proc/self/fd", self.BUSY)
        for what in ("socket:", "eventpoll", "signalfd", "eventfd", "timerfd", ".lock"):
            self.assertNotIn(what, out)

    def test_signals(self):
        out = self.run_child("cat /proc/self/status")
        masks = {
            name: int(value, 16)
            for name, value in (
                line.split(":\t") for line in out.splitlines() if line.startswith("Sig")
            )
            if name in ("SigBlk", "SigIgn")
        }
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            bit = 1 << (number - 1)
            self.assertFalse(masks["SigBlk"] & bit, f"{number.name} is blocked in a child")
        self.assertFalse(masks["SigIgn"] & (1 << (signal.SIGPIPE - 1)), "SIGPIPE is ignored")

    def test_peer_sees_the_close_while_a_child_lives(self):
        text = self.BUSY + """
local child = assert(io.popen("echo $$; exec sleep 60"))
print("child " .. child:read())
conn:close()
print(instance:receive(2000))
io.read()
os.exit(0)
"""
        process = self.start("run", self.write_file("close.lua", text), stdin=subprocess.PIPE)
        child = int(process.wait_for(r"^child (\d+)$").group(1))
        try:
            process.wait_for("^nil\tclosed", 4)
        finally:
            os.kill(child, signal.SIGKILL)
        process.write(b"\n")
        self.assertEqual(process.wait(), 0, process)


if __name__ == "__main__":
    phtest.main()
