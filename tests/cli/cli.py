# SPDX-License-Identifier: MIT
"""What the tests of the command line share: scripts, and one test case."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

OK, FAILED, USAGE, SCRIPT_ERROR, UNAVAILABLE, TIMED_OUT = 0, 1, 2, 65, 69, 75

ECHO = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(_, message) return message end,
}
"""

# Says that it has begun, and answers a while later.
SLOW = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(_, message)
    pipehost.log.info "working"
    pipehost.pipe.sleep(tonumber(pipehost.config.ms))
    return "late " .. message
  end,
}
"""

ASK = """
local pipe = require("pipehost").pipe
local name, message = ...
local conn <close>, code, info = pipe.open(name, { timeout = 10000 })
if not conn then return nil, code, info end
local reply, reply_code, reply_info = conn:transact(message)
if not reply then return nil, reply_code, reply_info end
print(reply)
"""


class Case(phtest.TestCase):
    def script(self, text, name="script.lua"):
        """The native path of a script with that text."""
        return phtest.native(self.write_file(name, text))

    def serve(self, text, *options, name="server.lua"):
        """A serving process and the pipe's name; it listens already."""
        pipe = self.pipe_name()
        server = self.start("serve", self.script(text, name), "--set", "pipe=" + pipe, *options)
        self.addCleanup(lambda: server.running() and server.stop())
        server.wait_for("serving 1 script")
        return server, pipe

    def ask(self, pipe, message="hello"):
        """What the server replied, from a process of its own."""
        done = self.run_pipehost("run", self.script(ASK, "ask.lua"), pipe, message)
        self.assertEqual(done.status, OK, done)
        return done.out

    def fails(self, status, pattern, *arguments, **options):
        """It says why in one line on stderr, and leaves nothing. Below the line
        there may be the source that it is about, and from where that was required."""
        done = self.run_pipehost(*arguments, **options)
        self.assertEqual(done.status, status, done)
        self.assertEqual(done.out, "", done)
        lines = done.err.splitlines()
        if status == USAGE and lines and lines[-1].startswith("Try 'pipehost"):
            lines.pop()
        source = [line for line in lines if re.match(r" *\d* \| |required from ", line)]
        self.assertEqual(len(lines) - len(source), 1, done)
        self.assertRegex(lines[0], "^pipehost: ")
        self.assertRegex(lines[0], pattern)
        self.nothing_left()
        return done

    def nothing_left(self):
        """No socket and no lock in the folder of pipes."""
        if not phtest.WINDOWS:
            self.assertEqual(os.listdir(self.pipes), [])
