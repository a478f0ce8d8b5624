# SPDX-License-Identifier: MIT
"""Messages of many clients that the server finds in one poll: they are received
together, handled one after the other, and answered together. Nobody notices.
The server is stopped meanwhile, so that it does find them together."""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = 40
LONG = "long" + "x" * 20000


class LineClient:
    """Messages on a stream, as of a packet socket."""

    def __init__(self, client):
        self.client, self.file = client, client.makefile("rb")

    def send(self, message):
        self.client.sendall(message + b"\n")

    def recv(self, _):
        return self.file.readline().rstrip(b"\n")

    def close(self):
        self.file.close()
        self.client.close()


class Served(phtest.TestCase):
    mode, kind = "message", socket.SOCK_SEQPACKET

    def setUp(self):
        super().setUp()
        self.name = self.pipe_name()
        self.server = self.start(
            "serve", "--set", "name=" + self.name, "--set", "mode=" + self.mode,
            phtest.native(os.path.join(HERE, "crowd.lua")))
        self.server.wait_for("serving 1 script")
        self.clients = [self.connect() for _ in range(CLIENTS)]
        # Everybody is in, and has been answered once.
        for client in self.clients:
            client.send(b"hello")
            client.recv(100)

    def tearDown(self):
        for client in self.clients:
            client.close()
        self.assertEqual(self.server.stop(), 0, self.server)
        super().tearDown()

    def connect(self):
        client = socket.socket(socket.AF_UNIX, self.kind)
        self.addCleanup(client.close)
        client.connect(os.path.join(self.pipes, self.name.lower()))  # waits its turn
        client.settimeout(20)
        return LineClient(client) if self.mode == "byte" else client

    def send_together(self, messages):
        self.server.signal(signal.SIGSTOP)
        for client, message in zip(self.clients, messages):
            client.send(message.encode())
        self.server.signal(signal.SIGCONT)

    def check_order(self):
        """What is posted by a later handler comes after the reply of an earlier one."""
        self.send_together(["post"] * CLIENTS)
        numbers = set()
        for client in self.clients:
            got = [client.recv(100).decode() for _ in range(CLIENTS + 1)]
            numbers.update(text for text in got if text[0] == "r")
            order = sorted(got, key=lambda text: (int(text[1:]), text[0] == "r"))
            self.assertEqual(got, order)
        self.assertEqual(len(numbers), CLIENTS)


class Lines(Served):
    mode, kind = "byte", socket.SOCK_STREAM

    def test_order(self):
        self.check_order()

    def test_nobody_takes(self):
        """Replies that go out in part only, and the rest later."""
        deaf, count = self.clients[0], 100
        for _ in range(count):
            self.send_together(["big"] * CLIENTS)
            for client in self.clients[1:]:
                self.assertEqual(client.recv(0)[-4000:], b"x" * 4000)
        last = 0
        for _ in range(count):
            number = int(deaf.recv(0).decode().removesuffix("x" * 4000))
            self.assertGreater(number, last)
            last = number


class Packets(Served):
    def test_order(self):
        self.check_order()

    def test_mixed_sizes(self):
        """Empty messages, and more bytes than are put aside."""
        messages = ["" if i % 4 == 0 else LONG if i % 2 else "m" for i in range(CLIENTS)]
        self.send_together(messages)
        for client, message in zip(self.clients, messages):
            got = client.recv(65536).decode()
            number = got.removesuffix(message) if message == LONG else got[1:]
            self.assertTrue(CLIENTS < int(number) <= 2 * CLIENTS, got[:10])

    def test_nobody_takes(self):
        """One that reads nothing is not listened to; the others are answered."""
        deaf = self.clients[0]
        deaf.setblocking(False)
        sent = 0
        for _ in range(100):
            try:
                for _ in range(50):
                    deaf.send(LONG.encode())
                    sent += 1
            except BlockingIOError:
                pass
            self.send_together([])
            for client in self.clients[1:]:
                client.send(b"m")
            for client in self.clients[1:]:
                self.assertEqual(client.recv(100)[:1], b"r")
        deaf.settimeout(20)
        last = 0
        for _ in range(sent):
            number = int(deaf.recv(65536).decode().removesuffix(LONG))
            self.assertGreater(number, last)
            last = number

    def test_closed_by_another(self):
        """Whoever was handled before has his reply, then the end."""
        middle = CLIENTS // 2
        self.send_together(["close" if i == middle else "m" for i in range(CLIENTS)])
        closer = int(self.clients[middle].recv(100)[1:])
        got = {closer}
        for client in self.clients[:middle] + self.clients[middle + 1 :]:
            reply = client.recv(100)
            if reply:
                got.add(int(reply[1:]))
                self.assertEqual(client.recv(100), b"")
        self.assertEqual(got & set(range(CLIENTS + 1, closer)), set(range(CLIENTS + 1, closer)))


if __name__ == "__main__":
    phtest.main()
