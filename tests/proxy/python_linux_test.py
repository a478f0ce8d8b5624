#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs of the system's own sockets on both sides of the proxy, which listens on
a path as they do."""

import os
import socket
import threading

import proxying
import phtest


class Python(proxying.Case):
    def setUp(self):
        super().setUp()
        self.target = os.path.join(self.folder, "target")
        self.listen = os.path.join(self.folder, "listen")

    def server(self, kind, answer=None):
        """One client, in a thread; gives what it got."""
        got = []
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(self.target)
        server.listen()

        def serve():
            client, _ = server.accept()
            while data := client.recv(1000):
                got.append(data)
                if answer:
                    client.sendall(answer(data))
            client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(server.close)
        return thread, got

    def talk(self, kind, *options):
        proxy, _ = self.proxy(self.target, "--connections", "1", *options, listen=self.listen)
        client = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(client.close)
        client.settimeout(20 * phtest.SLOW)
        client.connect(self.listen)
        return proxy, client

    def test_messages(self):
        thread, got = self.server(socket.SOCK_SEQPACKET, lambda data: data + b"!")
        proxy, client = self.talk(socket.SOCK_SEQPACKET)
        client.send(b"one")
        client.send(b"two")
        self.assertEqual([client.recv(1000), client.recv(1000)], [b"one!", b"two!"])
        client.close()
        thread.join(20 * phtest.SLOW)
        self.assertEqual(got, [b"one", b"two"])
        self.ends(proxy, "1 connection, 4 messages")

    def test_a_stream_that_ends(self):
        thread, got = self.server(socket.SOCK_STREAM)
        proxy, client = self.talk(socket.SOCK_STREAM, "--mode", "byte")
        client.sendall(b"x" * 100000)
        client.close()
        thread.join(20 * phtest.SLOW)
        self.assertEqual(b"".join(got), b"x" * 100000)
        self.ends(proxy, r"1 connection, \d+ chunks")


if __name__ == "__main__":
    phtest.main()
