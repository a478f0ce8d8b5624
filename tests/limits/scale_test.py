# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""Ten thousand idle connections of an on_message server; a thousand sessions. Each
is answered, before and after all of them have been idle together. What one takes
of memory is a figure of tests/bench."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# Of both, elsewhere fewer: all pipes of Wine go through one process, its server,
# and a sanitizer's allocator keeps what was freed.
IDLE, SESSIONS = {"linux": (10000, 1000), "linux-sanitize": (2000, 500), "windows": (1000, 300)}[phtest.SYSTEM]
SPARE = 200  # descriptors for everything else


class Scale(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.name, self.control = self.pipe_name(), self.pipe_name()
        script = phtest.native(os.path.join(HERE, "scale.lua"))
        self.server = self.start("serve", script, "--set", "name=" + self.name, "--control", self.control)
        self.server.wait_for("serving 1 script")

    def clients(self):
        """How many the server has, as it says itself."""
        done = self.run_pipehost("ctl", "--control", self.control, "status")
        self.assertEqual(done.status, 0, done)
        return [int(count) for count in re.findall(r"connections (\d+)", done.out)]

    def check(self, name, count):
        go = os.path.join(self.folder, "go")
        settings = {"name": name, "count": count, "go": phtest.native(go)}
        options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        client = self.start("run", *options, phtest.native(os.path.join(HERE, "scale_client.lua")))
        client.wait_for("all", 60)
        self.assertIn(count, self.clients())
        self.write_file("go", "")
        self.assertEqual(client.wait(60), 0, (client, self.server))
        self.assertEqual(client.out.splitlines()[-1], "done")
        self.assertEqual(self.server.stop(), 0, self.server)
        self.assertNotIn(" error ", self.server.err)

    def test_idle_connections(self):
        if not phtest.WINDOWS:
            import resource

            # Programs raise their own limit as far as this.
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            if hard != resource.RLIM_INFINITY and hard < IDLE + SPARE:
                self.skipTest(f"a process may have {hard} descriptors here")
        self.check(self.name, IDLE)

    def test_sessions(self):
        self.check(self.name + "-session", SESSIONS)


if __name__ == "__main__":
    phtest.main()
