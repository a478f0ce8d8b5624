# SPDX-License-Identifier: MIT
"""What the tests of record and replay share: servers and clients to record, and the
commands."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

OK, FAILED, USAGE, SCRIPT_ERROR, UNAVAILABLE = 0, 1, 2, 65, 69

# Answers each message, and ends after "bye".
SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  max_message = tonumber(pipehost.config.max),
  on_message = function(conn, message)
    if message == "bye" then
      conn:close()
      return
    end
    return "<" .. message .. ">"
  end,
}
"""

# Sends its arguments and prints each answer; "bye" is to end it.
CLIENT = """
local pipe = require("pipehost").pipe
local conn <close> = assert(pipe.open((...), { timeout = 20000 }))
for _, word in ipairs { select(2, ...) } do
  assert(conn:send(word))
  print((conn:receive() or "(closed)"))
end
"""

# A line for a line, in two writes; a client that says nothing gets nothing.
BYTE_SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe, mode = "byte",
  session = function(conn)
    for line in conn:lines() do
      conn:write("you said ")
      pipehost.pipe.sleep(5)
      conn:write(line .. "\\n")
    end
  end,
}
"""

# Sends its arguments as lines, in single bytes if the first one is "1".
BYTE_CLIENT = """
local pipe = require("pipehost").pipe
local name, chunk = ...
local conn <close> = assert(pipe.open(name, { mode = "byte", timeout = 20000 }))
for _, word in ipairs { select(3, ...) } do
  for part in (word .. "\\n"):gmatch(chunk == "1" and "." or ".*\\n") do
    assert(conn:write(part))
    pipe.sleep(2)
  end
  print((conn:read_line() or "(closed)"))
end
"""

# Sends much and gets it back, at once.
MUCH = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open((...), { mode = "byte", timeout = 60000 }))
local data = ("0123456789abcdef"):rep(64 * 1024)
local writing = conn:write_op(data)
local got = assert(conn:read_exact(#data))
assert(writing:wait() and writing:result())
print(got == data)
"""

BYTE_ECHO = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, mode = "byte", session = function(conn)
  repeat
    local data = conn:read(100000)
  until not data or not conn:write(data)
end }
"""


class Case(phtest.TestCase):
    def script(self, text, name="script.lua"):
        """The native path of a script with that text."""
        return phtest.native(self.write_file(name, text))

    def path(self, name):
        """The native path of a file that need not be there."""
        return phtest.native(os.path.join(self.folder, name))

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def serve(self, text=SERVER, *options):
        """A serving process and the pipe's name; it listens already."""
        pipe = self.pipe_name()
        server = self.start("serve", self.script(text, "server.lua"), "--set", "pipe=" + pipe, *options)
        self.addCleanup(lambda: server.running() and server.stop())
        server.wait_for("serving 1 script")
        return server, pipe

    def client(self, pipe, *words, text=CLIENT):
        """What it printed."""
        done = self.run_pipehost("run", self.script(text, "client.lua"), pipe, *words)
        self.assertEqual(done.status, OK, done)
        return done.out.splitlines()

    def background_client(self, pipe, *words, text=CLIENT):
        """A script of its own for each: one would be written while another reads it."""
        self.clients = getattr(self, "clients", 0) + 1
        return self.start("run", self.script(text, f"client{self.clients}.lua"), pipe, *words)

    def recorder(self, target, *options, name="a.rec"):
        """A recording process and the pipe that clients are to open."""
        listen = self.pipe_name()
        process = self.start("record", "--listen", listen, "--to", target, "-o", self.path(name), *options)
        process.wait_for("recording ")
        return process, listen

    def replayer(self, *options, name="a.rec", pipe=None):
        """A process that plays the server's end, and its pipe."""
        pipe = pipe or self.pipe_name()
        process = self.start("replay", self.path(name), "--pipe", pipe, *options)
        process.wait_for("listening on")
        return process, pipe

    def replay_as_client(self, pipe, *options, name="a.rec"):
        return self.run_pipehost("replay", self.path(name), "--as", "client", "--pipe", pipe, *options)

    def recording(self, *lines, mode="message", name="a.rec", header=""):
        """A recording by hand."""
        text = f"pipehost-record 1\npipe Recorded\nmode {mode}\n{header}\n" + "\n".join(lines) + "\n"
        self.write_file(name, text)
        return text

    def events(self, name="a.rec"):
        """The events without their times: ["1 open", "1 > 616263"]."""
        found = []
        for line in self.read(name).split("\n\n", 1)[1].splitlines():
            match = re.match(r"[\d.]+ +(\d+) (\S+) *(?:(\d+)\b *)?([^|]*)", line)
            if match:
                conn, kind, size, rest = match.groups()
                rest = "(empty)" if size == "0" else rest.strip()
                found.append(f"{conn} {kind} {rest}".strip())
            else:
                found[-1] += " " + line.split("|")[0].strip()
        return found


def hexes(text):
    """ "ab" -> "61 62" """
    return text.encode().hex(" ")


def message(conn, kind, text):
    """An event of events()."""
    return f"{conn} {kind} {hexes(text)}"


def line(ms, conn, kind, text):
    """A line of a recording."""
    return f"{ms} {conn} {kind} {len(text.encode())} {hexes(text)}"
