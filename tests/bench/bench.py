#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures pipehost against the floor: a plain C server on the same system
calls. Both get the same load, one after the other, again and again (A B A B),
so that what else the machine does falls on both.

On Linux each process is bound to a processor: where messages are counted, the
server has one and the load the other; where times are, both have the same one,
so that no time of the server's hides behind the waking of an idle processor.
Under Wine a third process takes part in everything, and nothing is bound.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ECHO = os.path.join(HERE, "echo.lua")
SERVER_INFO = os.path.join(ROOT, "scripts", "server_info", "server.lua")

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

# Where a server appears, and how long it has for that.
START_MS = 10000
STOP_SECONDS = 10
CALLGRIND_COUNTS = (2000, 12000)


class Row:
    """One line of the table. A target is a ratio to the floor's value."""

    def __init__(self, title, unit, target, script, load, cpus):
        self.title = title
        self.unit = unit
        self.target = target
        self.script = script
        self.load = load
        self.cpus = cpus

    @property
    def exchange(self):
        return "exchange" in self.load

    @property
    def more_is_better(self):
        return self.unit == "msg/s"

    def value(self, result):
        rate = result["per_second"]
        return rate if self.more_is_better else 1e6 / rate

    def reached(self, ratio):
        return ratio >= self.target if self.more_is_better else ratio <= self.target


def rows(system):
    wine = system == "windows"
    slower = 1 / 0.9
    return [
        Row("round trip, 1 connection", "us", slower if wine else 1.10, ECHO,
            ["--mode", "rtt"], "same"),
        Row("messages/s, 64 connections", "msg/s", 0.90, ECHO,
            ["--mode", "throughput", "--connections", "64"], "split"),
        Row("whole exchange", "us", slower if wine else 1.20, SERVER_INFO,
            ["--mode", "exchange"], "same"),
    ]


class Failed(Exception):
    pass


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.windows = options.system == "windows"
        self.pipehost = shlex.split(options.pipehost)
        self.launcher = self.pipehost[:-1] if self.windows else []
        self.cpus = sorted(os.sched_getaffinity(0))
        self.env = dict(os.environ, PIPEHOST_DIR=folder)

    # Commands and addresses -----------------------------------------------------

    def program(self, name):
        file = name + ("_win32.exe" if self.windows else "_linux")
        path = os.path.join(self.options.build, "tests", "bench", file)
        if not os.path.exists(path):
            raise Failed(f"{path} has not been built")
        return self.launcher + [path]

    def address(self, kind, row):
        pipe = "ServerInfo" if row.exchange else "bench"
        if kind == "floor":
            pipe = f"floor-{os.getpid()}"
        if self.windows:
            return "\\\\.\\pipe\\" + pipe
        return os.path.join(self.folder, pipe.lower())

    def server_command(self, kind, row):
        if kind == "pipehost":
            return self.pipehost + ["serve", os.path.relpath(row.script)]
        more = ["--exchange"] if row.exchange else []
        return self.program("floor") + more + [self.address(kind, row)]

    def bound_to(self, row, number):
        """What a child calls first, so that it stays on its processor."""
        if self.windows or len(self.cpus) < 2:
            return None
        cpu = self.cpus[number if row.cpus == "split" else 0]
        return lambda: os.sched_setaffinity(0, {cpu})

    # Processes ------------------------------------------------------------------

    @contextlib.contextmanager
    def server(self, command, row):
        log = os.path.join(self.folder, "server.log")
        with open(log, "wb") as file:
            process = subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, preexec_fn=self.bound_to(row, 0))
        try:
            yield process
        except Failed as error:
            with open(log, encoding="utf-8", errors="replace") as file:
                raise Failed(f"{error}\n{shlex.join(command)}:\n{file.read()}") from None
        finally:
            self.stop(process)

    def stop(self, process):
        # Under Wine an interrupt arrives as Ctrl-C; other signals just kill.
        process.send_signal(signal.SIGINT if self.windows else signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def load(self, kind, row, limit, seconds):
        command = self.program("load") + [self.address(kind, row)] + row.load
        command += limit + ["--wait", str(START_MS)]
        if not row.exchange:
            command += ["--size", str(self.options.size)]
        # Into files: under Wine, what starts first also starts services, and they
        # would hold a pipe open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            try:
                status = subprocess.call(
                    command, env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                    stderr=errors, timeout=seconds + 30,
                    preexec_fn=self.bound_to(row, 1))
            except subprocess.TimeoutExpired:
                status = "none"
            out.seek(0)
            errors.seek(0)
            if status != 0:
                raise Failed(f"{shlex.join(command)}: exit status {status}\n"
                             + errors.read().decode(errors="replace"))
            return json.loads(out.read())

    # Measuring ------------------------------------------------------------------

    def sample(self, kind, row):
        seconds = self.options.seconds
        with self.server(self.server_command(kind, row), row) as process:
            # The first messages pay for what happens only once.
            self.load(kind, row, ["--count", "200"], seconds)
            before = cpu_seconds(process.pid)
            result = self.load(kind, row, ["--seconds", str(seconds)], seconds)
            used = cpu_seconds(process.pid) - before
        result["value"] = row.value(result)
        result["server_cpu_us"] = used * 1e6 / max(result["count"], 1)
        return result

    def measure(self, row):
        runs = {"floor": [], "pipehost": []}
        total = self.options.rounds * len(runs)
        for i in range(self.options.rounds):
            for j, kind in enumerate(runs):
                progress(f"{row.title}: {i * len(runs) + j + 1} of {total}, {kind}")
                runs[kind].append(self.sample(kind, row))
        progress("")
        return summary(row, runs)

    def instructions(self, kind, row):
        """In user space, for one echoed message: the difference of two runs."""
        totals = []
        for count in CALLGRIND_COUNTS:
            progress(f"callgrind: {kind}, {count} messages")
            out = os.path.join(self.folder, f"callgrind.{kind}.{count}")
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
            with self.server(command + self.server_command(kind, row), row):
                self.load(kind, row, ["--count", str(count)], 60)
            totals.append(collected(out))
        progress("")
        return (totals[1] - totals[0]) / (CALLGRIND_COUNTS[1] - CALLGRIND_COUNTS[0])


def collected(file):
    with open(file, encoding="utf-8", errors="replace") as lines:
        found = re.search(r"^(?:totals|summary): (\d+)", lines.read(), re.M)
    if not found:
        raise Failed(f"{file}: no total in it")
    return int(found.group(1))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def summary(row, runs):
    report = {"title": row.title, "unit": row.unit, "target": round(row.target, 3)}
    for kind, results in runs.items():
        report[kind] = {
            "median": statistics.median(r["value"] for r in results),
            "least": min(r["value"] for r in results),
            "most": max(r["value"] for r in results),
            "p99_us": statistics.median(r["p99_us"] for r in results),
            "server_cpu_us": statistics.median(r["server_cpu_us"] for r in results),
            "runs": results,
        }
    report["ratio"] = report["pipehost"]["median"] / report["floor"]["median"]
    report["reached"] = row.reached(report["ratio"])
    return report


# Output -------------------------------------------------------------------------


def progress(text):
    """One line that is written over on a terminal, a line each elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
    elif text:
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def spread(part):
    return f"{number(part['least'])} to {number(part['most'])}"


def print_table(options, reports):
    print(f"\n{options.system}: {options.size}-byte messages, {options.rounds} runs of "
          f"{options.seconds:g} s for each side, medians\n")
    form = "{:27} {:>6} {:>10} {:>10} {:>7} {:>7}  {}"
    print(form.format("", "", "floor", "pipehost", "ratio", "target", ""))
    for r in reports:
        bound = ">=" if r["unit"] == "msg/s" else "<="
        print(form.format(
            r["title"], r["unit"], number(r["floor"]["median"]),
            number(r["pipehost"]["median"]), f"{r['ratio']:.3f}",
            f"{bound} {r['target']:.2f}", "" if r["reached"] else "not reached"))
    print("\nleast to most of the runs; 99th percentile and the server's CPU time "
          "for each, in us:")
    form = "{:27} {:9} {:>22} {:>9} {:>7}"
    for r in reports:
        for kind in ("floor", "pipehost"):
            cpu = number(r[kind]["server_cpu_us"]) if options.system == "linux" else "-"
            print(form.format(r["title"], kind, spread(r[kind]),
                              number(r[kind]["p99_us"]), cpu))


def print_instructions(counted):
    print("\ninstructions for one echoed message (callgrind, user space): "
          f"pipehost {counted['pipehost']:,.0f}, floor {counted['floor']:,.0f}; "
          f"target <= {counted['target']:,}")


# Command line -------------------------------------------------------------------


def arguments():
    system = os.environ.get("PH_SYSTEM", "linux").partition("-")[0]
    parser = argparse.ArgumentParser(description="Measures pipehost against the floor.")
    parser.add_argument("--system", choices=("linux", "windows"), default=system)
    parser.add_argument("--pipehost", metavar="COMMAND",
                        help="default: $PIPEHOST, else what build.sh has built")
    parser.add_argument("--build", metavar="DIR",
                        help="holds tests/bench/ (default: $PH_BUILD, else build/SYSTEM)")
    parser.add_argument("--rounds", type=int, default=5, help="runs for each side (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a run (%(default)s)")
    parser.add_argument("--size", type=int, default=64, help="bytes of a message (%(default)s)")
    parser.add_argument("--only", metavar="TEXT", default="", help="rows with TEXT in their title")
    parser.add_argument("--callgrind", action="store_true",
                        help="also count instructions (Linux, needs valgrind)")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    options = parser.parse_args()
    windows = options.system == "windows"
    options.build = options.build or os.environ.get("PH_BUILD") or os.path.join(
        ROOT, "build", options.system)
    built = os.path.join(options.build, "pipehost" + (".exe" if windows else ""))
    options.pipehost = options.pipehost or os.environ.get("PIPEHOST") or shlex.join(
        (["wine"] if windows else []) + [built])
    if not 1 <= options.rounds <= 50 or not 0.05 <= options.seconds <= 60:
        parser.error("--rounds 1 to 50, --seconds 0.05 to 60")
    if options.callgrind and (windows or not shutil.which("valgrind")):
        parser.error("--callgrind works on Linux, and needs valgrind")
    return options


@contextlib.contextmanager
def wine_prefix(options):
    """Wine's folder of the project's own, unless the environment has one."""
    if options.system != "windows" or "WINEPREFIX" in os.environ:
        yield
        return
    import wine  # pylint: disable=import-outside-toplevel

    os.environ.update(wine.environment(ROOT))
    with wine.prefix(ROOT):
        yield


def run(options, folder):
    bench = Bench(options, folder)
    chosen = rows(options.system)
    reports = [bench.measure(r) for r in chosen if options.only in r.title]
    figures = {"system": options.system, "size": options.size,
               "machine": {"cpus": len(bench.cpus), "kernel": os.uname().release},
               "rows": reports}
    if reports:
        print_table(options, reports)
    if options.callgrind:
        counted = {k: bench.instructions(k, chosen[0]) for k in ("floor", "pipehost")}
        counted["target"] = 2500
        figures["instructions"] = counted
        print_instructions(counted)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2)
            file.write("\n")


def main():
    options = arguments()
    begin = time.monotonic()
    folder = tempfile.mkdtemp(prefix="ph-bench-")  # 0700
    try:
        with wine_prefix(options):
            run(options, folder)
    except Failed as error:
        progress("")
        sys.exit(f"bench.py: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
