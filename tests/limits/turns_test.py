# SPDX-License-Identifier: MIT
"""Tasks that go on for ever, and give way each time, keep nobody from his turn."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# That the server may compute meanwhile.
ANSWER_MS = {"linux": 200, "linux-sanitize": 600, "windows": 400}[phtest.SYSTEM]
KINDS = ["sleep", "yield", "spawn", "spawn_twice", "events", "crowd", "operations", "compute"]


class Turns(phtest.TestCase):
    def ask(self, settings, kinds):
        client = phtest.native(os.path.join(HERE, "turns_client.lua"))
        done = self.run_pipehost("run", *settings, client, *kinds, seconds=60)
        self.assertEqual(done.status, 0, done)
        rows = [line.split("\t") for line in done.out.splitlines()]
        self.assertEqual([row[0] for row in rows], kinds)
        return {kind: float(ms) for kind, ms in rows}

    def test_everybody_has_his_turn(self):
        settings = ["--set", "first=" + self.pipe_name()]
        server = self.start("serve", *settings, phtest.native(os.path.join(HERE, "turns.lua")))
        server.wait_for("serving 1 script")
        times = self.ask([*settings, "--set", f"pid={server.pid}"], KINDS)
        self.assertLess(max(times.values()), ANSWER_MS, times)
        self.assertEqual(server.stop(), 0, server)


if __name__ == "__main__":
    phtest.main()
