#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Colour in the log and in errors: on a terminal, unless NO_COLOR asks for none."""

import os
import pty
import subprocess

import cli
import phtest


BROKEN = "local careful = = 1"


class Colour(cli.Case):
    def log_of(self, *options, text='require("pipehost").log.warn "careful"', **variables):
        script = self.script(text)
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        env = {key: value for key, value in self.env.items() if key != "NO_COLOR"}
        command = phtest.PIPEHOST + list(options) + ["run", script]
        done = subprocess.run(
            command, env={**env, **variables}, stderr=theirs, timeout=30 * phtest.SLOW, check=False
        )
        os.close(theirs)
        self.assertEqual(done.returncode, 65 if text == BROKEN else 0)
        line = os.read(ours, 4096).decode()
        self.assertIn(BROKEN if text == BROKEN else "careful", line)
        return line

    def test_on_a_terminal(self):
        self.assertIn("\33[", self.log_of())

    def test_not_asked_for(self):
        self.assertNotIn("\33", self.log_of(NO_COLOR="1"))

    def test_of_a_caret(self):
        self.assertIn("\33[1;31m^", self.log_of(text=BROKEN))
        self.assertNotIn("\33", self.log_of(text=BROKEN, NO_COLOR="1"))

    def test_never_in_json(self):
        self.assertNotIn("\33", self.log_of("--log-format", "json"))


if __name__ == "__main__":
    phtest.main()
