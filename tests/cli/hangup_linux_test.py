#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SIGHUP: the end of the terminal ends `serve`; otherwise it is a reload."""

import fcntl
import os
import pty
import signal
import subprocess
import termios

import cli
import phtest


class Hangup(cli.Case):
    def serve_on_terminal(self):
        """A serving process that has a terminal, our end of it, and the pipe's name."""
        ours, theirs = pty.openpty()
        pipe = self.pipe_name()
        script = self.script(cli.ECHO, "server.lua")

        def take_terminal():
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(
            phtest.PIPEHOST + ["serve", script, "--set", "pipe=" + pipe],
            env=self.env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=take_terminal,
        )
        self.addCleanup(lambda: (process.kill(), process.wait()))
        os.close(theirs)
        self.wait_for(ours, "serving 1 script")
        return process, ours, pipe

    @staticmethod
    def wait_for(terminal, text):
        seen = ""
        while text not in seen:
            seen += os.read(terminal, 4096).decode()

    def test_the_terminal_goes(self):
        process, terminal, pipe = self.serve_on_terminal()
        self.assertEqual(self.ask(pipe), "hello")
        os.close(terminal)
        self.assertEqual(process.wait(30 * phtest.SLOW), 0)
        self.nothing_left()

    def test_the_terminal_stays(self):
        process, terminal, pipe = self.serve_on_terminal()
        self.addCleanup(os.close, terminal)
        self.script(cli.ECHO + "-- changed", "server.lua")
        process.send_signal(signal.SIGHUP)
        self.wait_for(terminal, "generation 2")
        self.assertEqual(self.ask(pipe), "hello")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30 * phtest.SLOW), 0)

    def test_there_was_none(self):
        server, pipe = self.serve(cli.ECHO)
        self.script(cli.ECHO + "-- changed", "server.lua")
        server.signal(signal.SIGHUP)
        server.wait_for("generation 2")
        self.assertEqual(self.ask(pipe), "hello")


if __name__ == "__main__":
    phtest.main()
