#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`connect` on a terminal: a prompt, harmless output, and mistakes forgiven."""

import os
import pty
import re
import select
import subprocess
import time

import cli
import phtest


class Terminal(cli.Case):
    def open(self, pipe, *options):
        """A `connect` on a terminal of its own."""
        self.ours, theirs = pty.openpty()
        self.addCleanup(os.close, self.ours)
        self.seen = ""
        self.client = subprocess.Popen(
            phtest.PIPEHOST + ["connect", pipe, *options],
            env=self.env, stdin=theirs, stdout=theirs, stderr=theirs,
        )
        self.addCleanup(self.client.wait)
        self.addCleanup(self.client.kill)
        os.close(theirs)

    def wait_for(self, pattern):
        """Reads until the pattern comes, and takes off what is before it."""
        deadline = time.monotonic() + 20 * phtest.SLOW
        while not (found := re.search(pattern, self.seen)):
            self.assertLess(time.monotonic(), deadline, self.seen)
            if select.select([self.ours], [], [], 0.1)[0]:
                self.seen += os.read(self.ours, 4096).decode()
        self.seen = self.seen[found.end():]

    def type(self, text):
        os.write(self.ours, text.encode())

    def test_a_conversation(self):
        _, pipe = self.serve(cli.ECHO)
        self.open(pipe)
        self.wait_for(f"{pipe}> ")
        for word in ("hello", "again ü"):
            self.type(word + "\n")
            self.wait_for(f"\r\\s*\r{word}\r\n{pipe}> ")
        self.type("\4")
        self.assertEqual(self.client.wait(20), 0)

    def test_what_could_harm_it(self):
        _, pipe = self.serve(cli.ECHO)
        self.open(pipe, "--hex")
        self.type("1b 5b 32 4a\n")
        self.wait_for(r"1b 5b 32 4a +\|\.\[2J\|")
        server, pipe = self.serve(cli.ECHO.replace("return message", r"return '\27[2J\7' .. message"))
        self.open(pipe)
        self.type("x\n")
        self.wait_for(r"\r\.\[2J\.x\r\n")

    def test_a_mistake_is_told_and_that_is_all(self):
        _, pipe = self.serve(cli.ECHO)
        self.open(pipe, "--hex")
        self.type("0x0g\n")
        self.wait_for("'g' is no hex digit")
        self.type("41\n")
        self.wait_for(r"41 +\|A\|")

    def test_the_other_end_goes(self):
        server, pipe = self.serve(cli.ECHO)
        self.open(pipe)
        self.wait_for("> ")
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.client.wait(20), 0)


if __name__ == "__main__":
    phtest.main()
