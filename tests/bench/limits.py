# SPDX-License-Identifier: MIT
"""What the limits cost an echo: the same with them and with --no-limits, one
after the other, again and again. single.py has a tight loop."""

import shutil
import statistics

import counting
import servers

TITLE = "cost of the limits"

MESSAGES = 20000
ROUNDS = 7
WAYS = {"on": [], "off": ["--no-limits"]}
OWN = servers.OWN[1]


def _echo_us(bench, more):
    """CPU time of the server for each message."""
    with bench.server(bench.server_command(OWN) + more) as process:
        bench.load(OWN, counting.ECHO, ["--count", "200"])
        before = servers.cpu_seconds(process.pid)
        bench.load(OWN, counting.ECHO, ["--count", str(MESSAGES)])
        return (servers.cpu_seconds(process.pid) - before) * 1e6 / MESSAGES


def measure(bench):
    """title -> { on =, off = }"""
    if bench.windows:  # what the server itself takes is not told there
        return {}
    samples = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, more in WAYS.items():
            samples[way].append(_echo_us(bench, more))
    found = {"echo, CPU us of the server": {
        way: statistics.median(values) for way, values in samples.items()}}
    if shutil.which("valgrind"):
        found["echo, instructions"] = {
            way: counting.count(bench, OWN, counting.ECHO, more)[0] for way, more in WAYS.items()}
    return found
