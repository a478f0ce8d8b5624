# SPDX-License-Identifier: MIT
# run.py: alone timeout=300
"""What pipehost asks of Wine's server for one echoed message and one whole
exchange, beside a plain C server that does the least there is. Each request is a
write(2), which the system counts for each thread: no clock. A request too much
costs more than all that is done in the process."""

import argparse
import os
import re
import subprocess
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
# A client that is answered once and leaves first: its handle serves the next one,
# so an instance is neither closed nor made (2 in all). 21.2 to 21.8; 23.0 to 23.7 without.
LEAVES_BOUND = 22.7
SLACK = 0.9  # one more call for each message is 1 at least, mostly 2

CLIENT = """
local pipe = require "pipehost".pipe
for _, times in ipairs { %d, %d } do
  for _ = 1, times do
    local conn = assert(pipe.open("bench", { mode = "message", timeout = 20000 }))
    assert(conn:transact("hello", 20000))
    conn:close()
  end
  print("answered " .. times)
  io.stdout:flush()
  io.read("l")
end
""" % (FEW, MANY)


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

    def bind(self):
        """What this test starts has one processor, and so has wineserver."""
        cpus = os.sched_getaffinity(0)
        bound = self.bench.wineserver_bound("same")
        bound.__enter__()  # pylint: disable=unnecessary-dunder-call
        self.addCleanup(bound.__exit__, None, None, None)
        self.addCleanup(os.sched_setaffinity, 0, cpus)
        os.sched_setaffinity(0, {self.bench.cpus[0]})

    def test_client_that_leaves_first(self):
        self.bind()
        server = self.start("serve", phtest.native(servers.script(PIPEHOST, False)))
        server.wait_for(r"serving 1 script", 60)
        script = self.write_file("client.lua", CLIENT)
        client = self.start("run", phtest.native(script), stdin=subprocess.PIPE)
        client.wait_for(rf"answered {FEW}", 60)
        few = writes(server.pid)
        client.write(b"\n")
        client.wait_for(rf"answered {MANY}", 60)
        found = (writes(server.pid) - few) / MANY
        client.write(b"\n")
        self.assertEqual(client.wait(), 0, client)
        print(f"  # one client that leaves: {found:.2f} requests")
        self.assertGreater(found, 5, "the requests are not seen")
        self.assertLessEqual(found, LEAVES_BOUND)


if __name__ == "__main__":
    phtest.main()
