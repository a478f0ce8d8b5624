# SPDX-License-Identifier: MIT
# run.py: alone timeout=240
"""The n-th allocation of a script's state fails: in a load, in each of a
server's handlers, in the hand-over of its clients. Nothing crashes, nothing
leaks (the sanitizer and the allocator's own count look), and the host goes on.

A release build tries each allocation of the handlers, and some of a load;
slower ones try fewer. NOMEM_STEP=1 in the environment tries each of a load too."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
HANDLER_STEP, LOAD_STEP = {
    "linux": (1, 11), "linux-sanitize": (1, 31), "windows": (1, 51)
}[phtest.SYSTEM]
LOAD_STEP = int(os.environ.get("NOMEM_STEP", LOAD_STEP))
LEAST_OF_A_LOAD = 5000  # allocations; those of a handler call: 50


class Nomem(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.name, self.control = self.pipe_name(), self.pipe_name()
        self.settings = ["--set", "name=" + self.name, "--set", "control=" + self.control]
        # Turns on core.fail_allocation.
        self.env["PIPEHOST_FAILING"] = "1"

    def serve(self, *options):
        script = phtest.native(os.path.join(HERE, "nomem.lua"))
        server = self.start("serve", "--control", self.control, *self.settings, *options, script)
        server.wait_for("serving 1 script")
        return server

    def ask(self, client, step, seconds):
        """The client tries every step-th allocation, others in each run."""
        first = int(os.environ.get("NOMEM_FIRST", 1 + os.getpid() % step))
        script = phtest.native(os.path.join(HERE, client))
        settings = [*self.settings, "--set", f"first={first}", "--set", f"step={step}"]
        return self.run_pipehost("run", *settings, script, seconds=seconds)

    def check(self, server, done):
        self.assertEqual(done.status, 0, (done, server))
        self.assertEqual(server.stop(), 0, server)

    def test_handlers(self):
        server = self.serve("-v")
        done = self.ask("nomem_client.lua", HANDLER_STEP, 90)
        self.check(server, done)
        counts = [int(count) for count in done.out.split()]
        self.assertEqual(len(counts), 2)
        self.assertGreater(min(counts), 50)
        self.assertRegex(server.err, r"nomem: the system has no more memory")

    def test_loads(self):
        server = self.serve()
        done = self.ask("nomem_loads.lua", LOAD_STEP, 90 if LOAD_STEP > 1 else 900)
        self.check(server, done)
        failed, made = re.fullmatch(r"(\d+) failed, (\d+) were made", done.out.strip()).groups()
        self.assertGreater(int(failed), LEAST_OF_A_LOAD / LOAD_STEP)
        self.assertGreater(int(made), 0)


if __name__ == "__main__":
    phtest.main()
