# SPDX-License-Identifier: MIT
"""A served script that is changed while clients talk to it."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import phtest  # noqa: E402

# Says what comes from stdin to a pipe, line by line, and prints what it answers.
TALK = r"""
local pipe = require("pipehost").pipe
local name, frame = ...
io.stdout:setvbuf "line"
local conn = assert(pipe.open(name, { timeout = 10000, frame = frame }))
print "connected"
for line in io.lines() do
  local verb, text = line:match "^(%w+) ?(.-)\r?$"
  local ok, code = true
  if verb == "say" then
    ok, code = conn:send(text)
  elseif verb == "write" then
    ok, code = conn:write((text:gsub("\\n", "\n")))
  end
  local reply = verb == "write" or ok and conn:receive(20000)
  if not reply and not code then
    reply, code = conn:receive(0)
  end
  print(reply and "> " .. tostring(reply) or "! " .. code)
end
"""


class Client:
    def __init__(self, process):
        self.process = process
        process.wait_for("^connected$")

    def _do(self, line):
        self.process.write((line + "\n").encode())
        return self.process.wait_for("^[>!] (.*)$").group(0)[2:]

    def say(self, text):
        """The answer, or the code of what it failed with."""
        return self._do("say " + text)

    def write(self, text):
        """Bytes without waiting for an answer; \\n is a line feed."""
        return self._do("write " + text)

    def hear(self):
        """The next message that comes by itself."""
        return self._do("hear")


class Case(phtest.TestCase):
    def serve(self, text):
        self.pipe = self.pipe_name()
        self.control = self.pipe_name()
        self.path = self.write_file("served.lua", text)
        self.server = self.start(
            "-v", "serve", phtest.native(self.path), "--set", "pipe=" + self.pipe,
            "--control", self.control, "--drain", "300",
        )
        self.addCleanup(lambda: self.server.running() and self.server.stop())
        self.server.wait_for("serving 1 script")

    def client(self, frame=None):
        path = phtest.native(self.write_file("talk.lua", TALK))
        words = ["run", path, self.pipe] + ([frame] if frame else [])
        return Client(self.start(*words, stdin=subprocess.PIPE))

    def ctl(self, *words):
        return self.run_pipehost("ctl", "--control", self.control, *words)

    def reload(self, text):
        self.write_file("served.lua", text)
        done = self.ctl("reload")
        self.assertEqual(done.status, 0, done)
        return done.out

    def only_generation(self, number):
        """Waits until none but this one is alive."""

        def alone():
            lines = self.ctl("generations").out.splitlines()
            return len(lines) == 1 and f"generation {number}," in lines[0]

        phtest.eventually(alone, what=f"generation {number} alone")

    def lines(self, text, least=0):
        """The lines of the log with text, when there are so many at least."""

        def found():
            lines = [line for line in self.server.lines if text in line]
            return lines if len(lines) >= least else None

        if not least:
            return found()
        return phtest.eventually(found, what=f"{least} lines with {text!r}")
