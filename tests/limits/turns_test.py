# SPDX-License-Identifier: MIT
# run.py: alone
"""Tasks that go on for ever, and give way each time, keep nobody from his turn."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER_MS = 200 * phtest.SLOW
TRIES = 3  # on Windows the clock counts other programs too
KINDS = ["sleep", "yield", "spawn", "spawn_twice", "events", "crowd", "operations", "compute"]


class Turns(phtest.TestCase):
    def ask(self, settings, kinds):
        client = phtest.native(os.path.join(HERE, "turns_client.lua"))
        done = self.run_pipehost("run", *settings, client, *kinds, seconds=60)
        self.assertEqual(done.status, 0, done)
        rows = [line.split("\t") for line in done.out.splitlines()]
        self.assertEqual([row[0] for row in rows], kinds)
        return [kind for kind, ms in rows if float(ms) > ANSWER_MS]

    def test_everybody_has_his_turn(self):
        settings = ["--set", "first=" + self.pipe_name()]
        server = self.start("serve", *settings, phtest.native(os.path.join(HERE, "turns.lua")))
        server.wait_for("serving 1 script")
        late = KINDS
        for _ in range(TRIES):
            late = late and self.ask(settings, late)
        self.assertEqual(late, [], f"answered after more than {ANSWER_MS} ms")
        self.assertEqual(server.stop(), 0, server)


if __name__ == "__main__":
    phtest.main()
