# SPDX-License-Identifier: MIT
"""The other end of a pipe, in plain Python sockets: nothing of pipehost's."""

import contextlib
import errno
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

FLAG_ASK = 1
FLAG_END = 2
SERVER_SCRIPT = os.path.join(phtest.ROOT, "scripts", "server_info", "server.lua")
CLIENT_SCRIPT = os.path.join(phtest.ROOT, "scripts", "server_info", "client.lua")

# What a log line about a message that is not of the protocol speaks of.
COMPLAINT = r"(?i)server.*(size|byte|length|flag|protocol)"

MOST_BYTES = 65536
NOT_YET = (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN)


def flag(value):
    return struct.pack("<I", value)


def server_info(value):
    return struct.pack("<i", value)


def patience():
    """The longest that any single socket call may take."""
    return 10 * phtest.SLOW


def connect(path, kind, server=None):
    """A connected socket, as soon as something listens there."""
    deadline = time.monotonic() + patience()
    while True:
        peer = socket.socket(socket.AF_UNIX, kind)
        peer.settimeout(patience())
        try:
            peer.connect(path)
            return peer
        except OSError as error:
            peer.close()
            gone = server is not None and not server.running()
            if error.errno not in NOT_YET or gone or time.monotonic() > deadline:
                raise AssertionError(f"{path}: {error}; server: {server!r}") from None
        time.sleep(0.005)


class Client:
    """A client of the exchange, or of any other pipe."""

    def __init__(self, path, server=None, kind=socket.SOCK_SEQPACKET):
        self.socket = connect(path, kind, server)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.send(data)

    def receive(self):
        return self.socket.recv(MOST_BYTES)

    def read_exact(self, size):
        data = b""
        while len(data) < size:
            more = self.receive()
            if not more:
                raise AssertionError(f"the end after {len(data)} of {size} bytes")
            data += more
        return data

    def ask(self):
        """The value of iFage."""
        self.send(flag(FLAG_ASK))
        reply = self.receive()
        if len(reply) != 4:
            raise AssertionError(f"{reply!r} is not the structure")
        return struct.unpack("<i", reply)[0]

    def end(self):
        self.send(flag(FLAG_END))
        self.expect_closed()

    def expect_closed(self):
        try:
            data = self.receive()
        except ConnectionResetError:
            return
        if data:
            raise AssertionError(f"{data!r} instead of the end")


class Server:
    """Serves one client with talk(socket) in a thread; `with` waits for it, and
    raises what talk has raised."""

    def __init__(self, path, talk, kind=socket.SOCK_SEQPACKET):
        self.talk = talk
        self.error = None
        self.listener = socket.socket(socket.AF_UNIX, kind)
        self.listener.settimeout(patience() * 2)
        self.listener.bind(path)
        os.chmod(path, 0o600)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        try:
            peer, _ = self.listener.accept()
            with contextlib.closing(peer):
                peer.settimeout(patience())
                self.talk(peer)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.thread.join(patience() * 4)
        self.listener.close()
        if kind is not None:
            return
        if self.thread.is_alive():
            raise AssertionError("the server in Python has not ended")
        if self.error:
            raise AssertionError("the server in Python failed") from self.error
