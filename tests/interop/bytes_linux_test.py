#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Byte pipes with programs that are not ours: Python's stream sockets as
client and as server, and socat as a client."""

import os
import socket
import sys
import threading

import interop
import phtest

ECHO = """
local pipehost = require "pipehost"

pipehost.server {
  name = "Lines", mode = "byte",
  session = function(conn)
    for line in conn:lines() do
      conn:write(line .. "\\n")
    end
  end,
}
"""

# Says what it reads, up to the last byte of "pong", as one line.
CLIENT = """
local pipe = require "pipehost".pipe

local conn = assert(pipe.open("Bytes", { %s timeout = 5000 }))
assert(conn:write("ping\\n"))
print("read " .. assert(conn:read_exact(4)))
assert(conn:close())
"""


class OurServer(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.start("serve", self.write_file("lines_server.lua", ECHO))
        self.addCleanup(lambda: self.server.running() and self.server.stop())
        self.path = os.path.join(self.pipes, "lines")

    def client(self):
        client = interop.Client(self.path, self.server, socket.SOCK_STREAM)
        self.addCleanup(client.socket.close)
        return client

    def test_one_line(self):
        client = self.client()
        client.send(b"one\n")
        self.assertEqual(client.read_exact(4), b"one\n")

    def test_split_writes(self):
        client = self.client()
        for byte in b"one by one\n":
            client.send(bytes([byte]))
        self.assertEqual(client.read_exact(11), b"one by one\n")

    def test_joined_writes(self):
        client = self.client()
        client.send(b"one\ntwo\n\nthr")
        self.assertEqual(client.read_exact(9), b"one\ntwo\n\n")
        client.send(b"ee\n")
        self.assertEqual(client.read_exact(6), b"three\n")

    def test_client_that_has_said_all(self):
        client = self.client()
        client.send(b"last\n")
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(client.read_exact(5), b"last\n")
        client.expect_closed()

    def test_more_than_a_socket_holds(self):
        """A client that writes on while the answers come back."""
        client = self.client()
        lines = b"".join(b"%07d %s\n" % (i, b"x" * 91) for i in range(10000))
        writer = threading.Thread(target=client.socket.sendall, args=(lines,), daemon=True)
        writer.start()
        self.assertEqual(client.read_exact(len(lines)), lines)
        writer.join(interop.patience())
        self.assertFalse(writer.is_alive())

    def test_clients_at_the_same_time(self):
        clients = [self.client() for _ in range(20)]
        for i, client in enumerate(clients):
            client.send(b"%02d\n" % i)
        for i, client in enumerate(clients):
            self.assertEqual(client.read_exact(3), b"%02d\n" % i)

    def test_socat(self):
        self.client().socket.close()  # it listens
        command = ["socat", "-t", "5", "-", "UNIX-CONNECT:" + self.path]
        done = self.finish(command, text=b"hello\nfrom socat\n")
        self.assertEqual(done.out, "hello\nfrom socat", done)
        self.assertEqual(done.status, 0, done)

    def test_client_in_message_mode_is_refused(self):
        self.client().socket.close()  # it listens
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            with self.assertRaises(OSError):
                peer.connect(self.path)


class OurClient(phtest.TestCase):
    def run_client(self, talk, options='mode = "byte",'):
        script = self.write_file("client.lua", CLIENT % options)
        path = os.path.join(self.pipes, "bytes")
        with interop.Server(path, talk, socket.SOCK_STREAM):
            return self.run_pipehost("run", script)

    def answer_ping(self, peer, *parts):
        heard = b""
        while not heard.endswith(b"\n"):
            heard += peer.recv(64)
        self.assertEqual(heard, b"ping\n")
        for part in parts:
            peer.sendall(part)
        self.assertEqual(peer.recv(64), b"")

    def test_answer(self):
        done = self.run_client(lambda peer: self.answer_ping(peer, b"pong"))
        self.assertEqual(done.status, 0, done)
        self.assertEqual(done.out, "read pong", done)

    def test_answer_in_parts(self):
        done = self.run_client(lambda peer: self.answer_ping(peer, b"p", b"on", b"g"))
        self.assertEqual(done.out, "read pong", done)

    def test_socat(self):
        """It answers what it hears, as cat does."""
        path = os.path.join(self.pipes, "bytes")
        command = ["socat", "-t", "5", f"UNIX-LISTEN:{path},mode=600,unlink-early", "EXEC:cat"]
        socat = self.spawn(command)
        text = CLIENT % 'mode = "byte",' + 'print "closed"\n'
        done = self.run_pipehost("run", self.write_file("client.lua", text))
        self.assertEqual((done.status, done.out), (0, "read ping\nclosed"), (done, socat))
        self.assertEqual(socat.wait(), 0, socat)

    def test_without_mode(self):
        """It takes what the server has."""
        done = self.run_client(lambda peer: self.answer_ping(peer, b"pong"), "")
        self.assertEqual(done.out, "read pong", done)

    def test_server_that_ends_too_early(self):
        def talk(peer):
            peer.recv(64)
            peer.sendall(b"po")

        done = self.run_client(talk)
        self.assertGreater(done.status, 0, done)
        self.assertNotIn("read", done.out)

    def test_wrong_mode(self):
        """The program hears that the server has another mode, and at once."""
        script = self.write_file("client.lua", CLIENT % 'mode = "message",')
        path = os.path.join(self.pipes, "bytes")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(8)
            done = self.run_pipehost("run", script)
        self.assertGreater(done.status, 0, done)
        self.assertIn("mode", done.err)


if __name__ == "__main__":
    phtest.main()
