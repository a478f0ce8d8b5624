# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""The n-th allocation that the host itself makes fails, in a handler's call and
in a reload, and in a start: the C code's own and the chunks behind Lua's allocator. Nothing
crashes or leaks (the sanitizer looks), whoever stays is answered, and the next
one is served.

All of a handler call, some of a load and a start; MALLOC_STEP=1 in the environment: all."""

import os
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
STEP = int(os.environ.get("MALLOC_STEP", 29 if phtest.SANITIZE else 11))


class Malloc(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.name, self.control = self.pipe_name(), self.pipe_name()
        self.settings = ["--set", "name=" + self.name, "--set", "control=" + self.control]
        self.library = os.path.join(phtest.TMP, "malloc_failing.so")
        self.file = os.path.join(phtest.TMP, "malloc_failing")
        with open(self.file, "wb") as file:
            file.write(bytes(16))
        source = os.path.join(HERE, "malloc_failing.c")
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"], check=True
        )

    def launch(self):
        before = dict(self.env)
        self.env["LD_PRELOAD"] = self.library
        self.env["MALLOC_FAILING"] = self.file
        if phtest.SANITIZE:
            options = self.env.get("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", ""))
            self.env["ASAN_OPTIONS"] = options + ":verify_asan_link_order=0"
        script = os.path.join(HERE, "malloc.lua")
        server = self.start("serve", "--control", self.control, *self.settings, script)
        self.env = before
        return server

    def serve(self):
        server = self.launch()
        server.wait_for("serving 1 script")
        return server

    def start_with(self, n):
        """A start in which the n-th allocation fails: did it get so far?"""
        with open(self.file, "wb") as file:
            file.write(struct.pack("<qq", n, 0))
        server = self.launch()
        try:
            server.wait_for("serving 1 script|memory|nomem|error")
        except AssertionError:
            pass  # it has ended; its status tells
        server.process.send_signal(signal.SIGTERM)
        status = server.wait(30)
        with open(self.file, "rb") as file:
            failed = struct.unpack("<qq", file.read(16))[1]
        if status == -signal.SIGTERM and failed:
            status = 1  # it was about to end
        self.assertGreaterEqual(status, 0, (n, server))
        self.assertNotIn("Sanitizer", server.err)
        self.assertTrue(status == 0 or failed, (n, server))
        if status:
            self.assertRegex(server.err, "memory|nomem", (n, server))
        return failed

    def test_start(self):
        n = int(os.environ.get("MALLOC_FIRST", 1 + os.getpid() % STEP))
        while self.start_with(n):
            n += STEP
        self.assertGreater(n, 50)

    def try_all(self, act, step, least):
        server = self.serve()
        first = int(os.environ.get("MALLOC_FIRST", 1 + os.getpid() % step))
        more = {"act": act, "first": first, "step": step, "file": self.file}
        settings = [*self.settings]
        for key, value in more.items():
            settings += ["--set", f"{key}={value}"]
        script = os.path.join(HERE, "malloc_client.lua")
        done = self.run_pipehost("run", *settings, script, seconds=70)
        self.assertEqual(done.status, 0, (done, server))
        self.assertEqual(server.stop(), 0, server)
        self.assertGreater(int(done.out), least, server)

    def test_handler(self):
        self.try_all("visit", 1, 10)

    def test_load(self):
        self.try_all("load", STEP, 50)


if __name__ == "__main__":
    phtest.main()
