# SPDX-License-Identifier: MIT
"""Instructions in user space, counted by callgrind: the same for the same
binary and input, whatever else the machine does. tests/speed holds them to
their bounds."""

import os
import re
import shutil
import subprocess
import time

import rows as table
import servers

ECHO = table.Row("one echoed message", "us", ["--mode", "rtt"])
EXCHANGE = table.Row("one whole exchange", "us", ["--mode", "exchange"])
# Several cycles of the collector have to fall between the two.
COUNTS = {ECHO.title: (1000, 21000), EXCHANGE.title: (500, 2500)}

RELOAD = "one reload"
RELOADS = (2, 12)

# Instructions for each.
BOUNDS = {ECHO.title: 2500, EXCHANGE.title: 31000, RELOAD: 20000000}


def collected(file):
    with open(file, encoding="utf-8", errors="replace") as lines:
        found = re.search(r"^(?:totals|summary): (\d+)", lines.read(), re.M)
    assert found, f"{file}: no total in it"
    return int(found.group(1))


def difference(runs, of):
    (few, first), (many, second) = runs
    return (of(second) - of(first)) / (many - few)


def count(bench, kind, row, more=()):
    """The difference of two runs, for each message or exchange; and the two runs,
    for `costliest`."""
    runs = []
    for number in COUNTS[row.title]:
        out = os.path.join(bench.folder, f"callgrind.{number}")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with bench.server(command + bench.server_command(kind, row.exchange) + list(more)):
            bench.load(kind, row, ["--count", str(number)])
        runs.append((number, out))
    return difference(runs, collected), runs


def wait_for_control(bench, control):
    """The server listens a little before its control pipe does."""
    status = bench.pipehost + ["ctl", "--control", control, "status"]
    for _ in range(300):
        done = subprocess.run(status, env=bench.env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError("no control pipe after 30 s")


def count_reload(bench):
    """The same for `ctl reload --force` of the echo script."""
    runs = []
    control = f"ctl-{os.getpid()}"
    ctl = bench.pipehost + ["ctl", "--control", control, "reload", "--force"]
    for number in RELOADS:
        out = os.path.join(bench.folder, f"callgrind.reload.{number}")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        command += bench.server_command(servers.OWN[1]) + ["--control", control]
        with bench.server(command):
            bench.load(servers.OWN[1], ECHO, ["--count", "1"])
            wait_for_control(bench, control)
            for _ in range(number):
                subprocess.run(ctl, env=bench.env, check=True, stdout=subprocess.DEVNULL)
        runs.append((number, out))
    return difference(runs, collected), runs


def functions(file):
    """The instructions of each function itself."""
    done = subprocess.run(["callgrind_annotate", "--tree=none", "--threshold=100", file],
                          capture_output=True, text=True, check=True)
    found = {}
    for count_text, name in re.findall(r"^\s*([\d,]+) \([^)]*%\)\s+(\S+:\S+)", done.stdout, re.M):
        found[name] = found.get(name, 0) + int(count_text.replace(",", ""))
    return found


def costliest(runs, most=10):
    """The functions that took most of what `count` has counted, with their shares."""
    shorter, longer = (functions(file) for _, file in runs)
    times = runs[1][0] - runs[0][0]
    each = sorted(((total - shorter.get(name, 0)) / times, name) for name, total in longer.items())
    return [f"{value:10.1f}  {re.sub(r'^.*/(?=[^/]*/[^/]*$)', '', name)}" for value, name in each[: -most - 1 : -1]]


def measure(bench):
    if bench.windows or not shutil.which("valgrind"):
        return {}
    found = {row.title: {kind.name: count(bench, kind, row)[0] for kind in servers.OWN}
             for row in (ECHO, EXCHANGE)}
    found[RELOAD] = {"pipehost": count_reload(bench)[0]}
    return found
