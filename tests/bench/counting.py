# SPDX-License-Identifier: MIT
"""Instructions in user space, counted by callgrind: the same for the same
binary and input, whatever else the machine does. tests/speed holds them to
their bounds."""

import os
import re
import shutil
import subprocess

import rows as table
import servers

ECHO = table.Row("one echoed message", "us", ["--mode", "rtt"])
EXCHANGE = table.Row("one whole exchange", "us", ["--mode", "exchange"])
COUNTS = (500, 2500)

RELOAD = "one reload"
RELOADS = (2, 12)

# Instructions for each.
BOUNDS = {ECHO.title: 2500, EXCHANGE.title: 31000, RELOAD: 60000000}


def collected(file):
    with open(file, encoding="utf-8", errors="replace") as lines:
        found = re.search(r"^(?:totals|summary): (\d+)", lines.read(), re.M)
    assert found, f"{file}: no total in it"
    return int(found.group(1))


def count(bench, kind, row, more=()):
    """The difference of two runs, for each message or exchange; and the file of
    the longer one."""
    totals, out = [], ""
    for number in COUNTS:
        out = os.path.join(bench.folder, f"callgrind.{number}")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with bench.server(command + bench.server_command(kind, row.exchange) + list(more)):
            bench.load(kind, row, ["--count", str(number)])
        totals.append(collected(out))
    return (totals[1] - totals[0]) / (COUNTS[1] - COUNTS[0]), out


def count_reload(bench):
    """The same for `ctl reload --force` of the echo script."""
    totals, out = [], ""
    control = f"ctl-{os.getpid()}"
    ctl = bench.pipehost + ["ctl", "--control", control, "reload", "--force"]
    for number in RELOADS:
        out = os.path.join(bench.folder, f"callgrind.reload.{number}")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        command += bench.server_command(servers.OWN[1]) + ["--control", control]
        with bench.server(command):
            bench.load(servers.OWN[1], ECHO, ["--count", "1"])
            for _ in range(number):
                subprocess.run(ctl, env=bench.env, check=True, stdout=subprocess.DEVNULL)
        totals.append(collected(out))
    return (totals[1] - totals[0]) / (RELOADS[1] - RELOADS[0]), out


def costliest(file, most=10):
    """The functions that took most, as callgrind_annotate prints them."""
    done = subprocess.run(["callgrind_annotate", file], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if re.match(r"\s*[\d,]+ \(", line)]
    return [re.sub(r"\s*\[.*\]$", "", line) for line in lines[1 : most + 1]]


def measure(bench):
    if bench.windows or not shutil.which("valgrind"):
        return {}
    found = {row.title: {kind.name: count(bench, kind, row)[0] for kind in servers.OWN}
             for row in (ECHO, EXCHANGE)}
    found[RELOAD] = {"pipehost": count_reload(bench)[0]}
    return found
