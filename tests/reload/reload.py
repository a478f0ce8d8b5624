# SPDX-License-Identifier: MIT
"""What the tests of reload share: a served script that is saved anew, and
clients that stay connected meanwhile."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
OK, FAILED, USAGE, SCRIPT_ERROR, UNAVAILABLE = 0, 1, 2, 65, 69

# Answers with its version, the generation and what it was asked.
ANSWERS = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(conn, message)
    return ("%s %%d %%s"):format(conn.generation, message)
  end,
}
"""


class Puppet:
    """Clients in a process of their own, which do one thing after the other."""

    def __init__(self, case):
        self.case = case
        script = phtest.native(os.path.join(HERE, "puppet.lua"))
        self.process = case.start("run", script, stdin=subprocess.PIPE)
        self.process.wait_for("^ready$")

    def tell(self, *words):
        self.process.write((" ".join(str(word) for word in words) + "\n").encode())

    def hear(self):
        """The answer: true for done, a text, or for an outcome (code, sentence)."""
        line = self.process.wait_for("^[+-]", 40).string
        if line[0] == "-":
            return tuple(line[1:].split(" ", 1))
        return line[1:] or True

    def do(self, *words):
        self.tell(*words)
        return self.hear()

    def open(self, client, pipe):
        self.case.assertIs(self.do("open", client, pipe), True)

    def ask(self, client, text):
        return self.do("ask", client, text)


class Case(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.pipe = self.pipe_name()
        self.control = self.pipe_name()
        self.server = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, text):
        """Writes the file in place, as editors of the simple kind do."""
        return phtest.native(self.write_file(name, text))

    def replace(self, name, text):
        """Puts a new file in its place, as the others do."""
        os.replace(self.write_file(name + ".new", text), self.path(name))

    def serve(self, text=ANSWERS % "v1", *options, name="server.lua"):
        """Starts with the script, or what is in the folder of that name."""
        if text is not None:
            self.save(name, text)
        self.server = self.start(
            "serve", phtest.native(self.path(name)), "--set", "pipe=" + self.pipe,
            "--control", self.control, *options,
        )
        self.addCleanup(self.stop_server)
        self.server.wait_for(r"serving \d+ script")
        return self.server

    def stop_server(self):
        if self.server.running():
            self.assertEqual(self.server.stop(), 0, self.server)

    def ctl(self, *words):
        return self.run_pipehost("ctl", *words, "--control", self.control, seconds=120)

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "--json").out)

    def reload(self, *words):
        """A reload that succeeds; what was said."""
        done = self.ctl("reload", *words)
        self.assertEqual((done.status, done.err), (OK, ""), (done, self.server))
        return done.out

    def reload_fails(self, pattern, status=SCRIPT_ERROR):
        """A reload that fails for that reason, told alike by ctl and the log, and
        by the status from then on."""
        done = self.ctl("reload")
        self.assertEqual((done.status, done.out), (status, ""), (done, self.server))
        self.assertRegex(done.err, pattern)
        self.server.wait_for("error .*reload failed, generation")
        last = self.ctl_json("status")["scripts"][0]["last_error"]
        self.assertRegex(last, pattern)
        return done.err

    def generation(self):
        return self.ctl_json("status")["scripts"][0]["generation"]

    def puppet(self):
        return Puppet(self)

    def answers(self, pattern, puppet=None):
        """A new client is answered in this way."""
        puppet = puppet or self.puppet()
        puppet.open("new", self.pipe)
        reply = puppet.ask("new", "hello")
        puppet.do("close", "new")
        self.assertRegex(str(reply), pattern)
