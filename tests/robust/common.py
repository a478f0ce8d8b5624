# SPDX-License-Identifier: MIT
"""What the tests of robustness share."""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")

ECHO = """
local pipehost = require "pipehost"
pipehost.server {
  name = "Echo",
  on_message = function(_, message) return message end,
}
"""

# A process that will be killed: it opens or serves PATH, says so, and waits.
PEER = """
import socket, sys, time
kind, role, path, action = sys.argv[1:]
end = socket.socket(socket.AF_UNIX, getattr(socket, kind))
if role == "server":
    end.bind(path)
    end.listen(8)
    print("ready", flush=True)
    if action != "no accept":
        end = end.accept()[0]
else:
    end.connect(path)
if action == "read one":
    end.recv(65536)
elif action == "write":
    end.send(b"data")
print("there", flush=True)
time.sleep(60)
"""


class Case(phtest.TestCase):
    def path(self, name):
        return os.path.join(self.pipes, name.lower())

    def serve(self, text=ECHO, *options, **keywords):
        script = self.write_file("server.lua", text)
        server = self.start("serve", script, *options, **keywords)
        self.addCleanup(lambda: server.running() and server.stop())
        server.wait_for("serving 1 script")
        return server

    def connect(self, name="Echo", kind=socket.SOCK_SEQPACKET):
        client = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(client.close)
        # A connect that has to wait for the backlog waits; a socket of Python
        # with a time-out would not.
        wait = struct.pack("@ll", 10 * phtest.SLOW, 0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        client.connect(self.path(name))
        client.settimeout(10 * phtest.SLOW)
        return client

    def echo(self, name="Echo"):
        with self.connect(name) as client:
            client.send(b"hello")
            self.assertEqual(client.recv(64), b"hello")

    def peer(self, role, name, action="", kind="SOCK_SEQPACKET"):
        return self.spawn([sys.executable, "-c", PEER, kind, role, self.path(name), action])

    def unused(self, server):
        """Waits until the server has let go of every client."""
        phtest.eventually(
            lambda: descriptors(server.pid) == self.before, what="descriptors as before"
        )


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def idle_share(pid, seconds=1.0):
    """The part of that time that the process has computed."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds
