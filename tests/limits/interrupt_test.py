# SPDX-License-Identifier: MIT
"""Ctrl-C ends what computes without waiting, where no limit of time holds."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

SIGNALS = [signal.SIGINT] if phtest.WINDOWS else [signal.SIGINT, signal.SIGTERM]
LOOP = "while true do end\n"

PLACES = {
    "a loop": LOOP,
    "a loop in pcall": "while true do pcall(function()\n" + LOOP + "end) end",
    "a coroutine": "coroutine.wrap(function()\n" + LOOP + "end)()",
    "a comparison": "table.sort({ 1, 2, 3 }, function()\n" + LOOP + "end)",
    "a task": "require('pipehost').pipe.spawn(function()\n" + LOOP + "end):wait()",
}


class Interrupt(phtest.TestCase):
    def begin(self, text, *options):
        script = self.write_file("script.lua", "io.write 'begun\\n' io.flush();\n" + text)
        process = self.start("run", *options, phtest.native(script))
        process.wait_for("begun")
        return process

    def test_the_first_one_ends_a_run(self):
        for number in SIGNALS:
            for name, text in PLACES.items():
                with self.subTest(name, signal=number):
                    process = self.begin(text)
                    process.signal(number)
                    self.assertEqual(process.wait(), 1, process)
                    self.assertRegex(process.err, r"^pipehost: (.*script\.lua:\d: )?interrupted")

    def test_the_third_one_ends_the_process(self):
        for number in SIGNALS:
            process = self.begin("(('a'):rep(1e6)):find('a-a-a-a-b')", "--no-limits")
            for _ in range(3):
                self.assertTrue(process.running(), process)
                process.signal(number)
                time.sleep(0.3)
            status = process.wait(10)
            if not phtest.WINDOWS:  # Wine has its own idea of it
                self.assertIn(status, (-number, 128 + number), process)


if __name__ == "__main__":
    phtest.main()
