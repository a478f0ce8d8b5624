# SPDX-License-Identifier: MIT
# run.py: alone timeout=300
"""What pipehost asks of Wine's server for one echoed message and one whole
exchange, beside a plain C server that does the least there is. Each request is a
write(2), which the system counts for each thread: no clock. A request too much
costs more than all that is done in the process."""

import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import phtest  # noqa: E402
import bench  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402

FLOOR, PIPEHOST = servers.OWN
# On one processor, so that nearly always the next message comes when all that
# went before is over, and is waited for.
ECHO = rows.Row("one echoed message", "us", ["--mode", "rtt"], cpus="same")
EXCHANGE = rows.Row("one whole exchange", "us", ["--mode", "exchange"], cpus="same")
FEW, MANY = 100, 600
# Of wine 8, when each message is waited for. The floor's thread may do with less
# in a run, when something is there before it waits.
BOUNDS = {ECHO: 10, EXCHANGE: 25}
SLACK = 0.9  # one more call for each message is 1 at least, mostly 2


def writes(pid):
    """Of the main thread, which is the loop."""
    with open(f"/proc/{pid}/task/{pid}/io", encoding="ascii") as file:
        return int(re.search(r"^syscw: (\d+)$", file.read(), re.M).group(1))


class Calls(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.bench = bench.Bench(argparse.Namespace(
            system="windows", build=phtest.BUILD, seconds=60, pipehost=" ".join(phtest.PIPEHOST)),
            self.pipes)

    def requests(self, kind, row):
        """For each message or exchange."""
        command = self.bench.server_command(kind, row.exchange)
        if kind is FLOOR:  # loses nothing either: a new instance for each client
            command.insert(-1, "--close")
        with self.bench.wineserver_bound(row.cpus), self.bench.server(command, row.cpus) as process:
            counts = []
            for number in (FEW, FEW, MANY):
                self.bench.load(kind, row, ["--count", str(number)])
                counts.append(writes(process.pid))
        first, few, many = counts
        return ((many - few) - (few - first)) / (MANY - FEW)

    def check(self, row):
        floor = self.requests(FLOOR, row)
        self.assertGreater(floor, 5, "the requests are not seen")
        found = self.requests(PIPEHOST, row)
        print(f"  # {row.title}: {found:.2f} requests, floor {floor:.2f}")
        self.assertLessEqual(found, max(floor, BOUNDS[row]) + SLACK)

    def test_echo(self):
        self.check(ECHO)

    def test_exchange(self):
        self.check(EXCHANGE)


if __name__ == "__main__":
    phtest.main()
