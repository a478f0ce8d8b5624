# SPDX-License-Identifier: MIT
# run.py: systems=linux timeout=180
"""Instructions in user space for one echoed message, one exchange and one
reload, counted by callgrind: no clock, so a bound holds on any machine. When one
is passed, the functions that took most are printed."""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import phtest  # noqa: E402
import bench  # noqa: E402
import counting  # noqa: E402
import servers  # noqa: E402

PIPEHOST = servers.OWN[1]


class Instructions(phtest.TestCase):
    def setUp(self):
        super().setUp()
        options = argparse.Namespace(
            system="linux", build=phtest.BUILD, seconds=60, pipehost=" ".join(phtest.PIPEHOST))
        self.bench = bench.Bench(options, self.pipes)

    def check(self, title, counted, runs):
        bound = counting.BOUNDS[title]
        if counted > bound:
            costliest = "\n".join(counting.costliest(runs))
            self.fail(f"{title}: {counted:.0f} instructions, {bound} at most\n{costliest}")
        print(f"  # {title}: {counted:.0f} of {bound}")

    def test_echo(self):
        self.check(counting.ECHO.title, *counting.count(self.bench, PIPEHOST, counting.ECHO))

    def test_exchange(self):
        self.check(counting.EXCHANGE.title, *counting.count(self.bench, PIPEHOST, counting.EXCHANGE))

    def test_what_costs(self):
        """The list that a failure prints is about what was counted."""
        counted, runs = counting.count(self.bench, PIPEHOST, counting.ECHO)
        shares = [float(line.split()[0]) for line in counting.costliest(runs, 1000)]
        self.assertLess(abs(sum(shares) - counted), counted / 10)
        ten = counting.costliest(runs)
        self.assertEqual(len(ten), 10)
        self.assertIn("luaV_execute", "\n".join(ten))

    def test_reload(self):
        self.check(counting.RELOAD, *counting.count_reload(self.bench))


if __name__ == "__main__":
    try:
        subprocess.run(["valgrind", "--version"], check=True, stdout=subprocess.DEVNULL)
    except OSError:
        print("skip - instructions: valgrind is not installed\n0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    phtest.main()
