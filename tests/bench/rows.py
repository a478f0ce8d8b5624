# SPDX-License-Identifier: MIT
"""What is measured: the rows of the table."""


class Row:
    """A target is a ratio to the floor's value. cpus: "split" gives the server
    one processor and the load the other, "same" gives both the same one, so that
    no time of the server's hides behind the waking of an idle processor. rate_of:
    not as fast as it goes, but half of what the slowest server does in that row,
    with real-time priority; the figure is the least of the runs."""

    def __init__(self, title, unit, load, **more):
        self.title = title
        self.unit = unit
        self.load = load
        self.target = more.get("target")
        self.cpus = more.get("cpus", "split")
        self.size = more.get("size", 64)
        self.peers = more.get("peers", True)
        self.rate_of = more.get("rate_of")

    @property
    def exchange(self):
        return "exchange" in self.load

    @property
    def more_is_better(self):
        return self.unit == "msg/s"

    def value(self, result):
        if self.unit == "us p99":
            return result["usual_p99_us"]
        rate = result["per_second"]
        return rate if self.more_is_better else 1e6 / rate

    def reached(self, ratio):
        if self.target is None:
            return None
        return ratio >= self.target if self.more_is_better else ratio <= self.target


def _throughput(connections, depth=1):
    more = ["--depth", str(depth)] if depth > 1 else []
    return ["--mode", "throughput", "--connections", str(connections)] + more


BUSY = "messages/s, 64 connections"


def rows(system):
    wine = system == "windows"
    slower = 1 / 0.9
    found = [
        Row("round trip, 1 connection", "us", ["--mode", "rtt"], cpus="same",
            target=slower if wine else 1.10),
        Row(BUSY, "msg/s", _throughput(64), target=0.90),
        Row("whole exchange", "us", ["--mode", "exchange"], cpus="same",
            target=slower if wine else 1.20),
        Row("messages/s, 1 connection", "msg/s", _throughput(1)),
        Row("messages/s, 8 connections", "msg/s", _throughput(8)),
        Row("messages/s, 64 connections, 1 KiB", "msg/s", _throughput(64), size=1024),
        Row("messages/s, 8 connections, 64 KiB", "msg/s", _throughput(8), size=65536),
        Row("messages/s, 64 connections, 16 in flight", "msg/s", _throughput(64, 16)),
    ]
    if not wine:  # the floor there has 72 instances
        found += [
            Row("messages/s, 512 connections", "msg/s", _throughput(512)),
            Row("messages/s, 100 of 10 000 connections talk", "msg/s",
                _throughput(100) + ["--idle", "9900"]),
            Row("99th percentile at one rate for all, 64 connections", "us p99", _throughput(64),
                rate_of=BUSY),
        ]
    return found


def chosen(system, text):
    """The rows with the text in their title, and those that they get their rate
    from."""
    found = [row for row in rows(system) if text in row.title]
    needed = {row.rate_of for row in found}
    return [row for row in rows(system) if text in row.title or row.title in needed]
