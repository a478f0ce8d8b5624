#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures pipehost against the floor, a plain C server on the same system
calls, and against what else a script could be written for: luv, cqueues,
asyncio, Node. All get the same load from the same program, one after the other,
again and again (A B C A B C), so that what else the machine does falls on all.

On Linux each process is bound to a processor (rows.py). Under Wine a third
process, wineserver, takes part in everything: where server and load share a
processor, it is bound to the same one; elsewhere nothing is bound.
"""

import argparse
import contextlib
import json
import os
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

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
sys.path.insert(0, HERE)
import counting  # noqa: E402
import limits  # noqa: E402
import report  # noqa: E402
import rows as table  # noqa: E402
import servers  # noqa: E402
import single  # noqa: E402
import workers  # noqa: E402

START_MS = 60000  # until a server appears: callgrind on a busy machine takes long
STOP_SECONDS = 10
STALLED = 4  # load.h


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
        self.slowest = {}  # row's title → messages per second

    # Commands -------------------------------------------------------------------

    def program(self, name):
        file = name + ("_win32.exe" if self.windows else "_linux")
        path = os.path.join(self.options.build, "tests", "bench", file)
        if not os.path.exists(path):
            raise Failed(f"{path} has not been built")
        return self.launcher + [path]

    def server_command(self, kind, exchange=False, script=None):
        if kind.is_pipehost:
            script = script or servers.script(kind, exchange)
            return self.pipehost + ["serve", os.path.relpath(script)]
        address = servers.address(kind, exchange, self.folder, self.windows)
        more = ["--exchange"] if exchange else []
        if kind.is_peer:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address)  # they leave it there
            return kind.command + [address] + more
        return self.program("floor") + (["--stream"] if kind.stream else []) + more + [address]

    def bound_to(self, cpus, number, first=False):
        """What a child calls first, so that it stays on its processor. first: and
        goes before everything else there, where that is allowed."""
        if len(self.cpus) < 2 or cpus is None or (self.windows and cpus == "split"):
            return None
        cpu = self.cpus[number if cpus == "split" else 0]

        def bind():
            os.sched_setaffinity(0, {cpu})
            if first:
                with contextlib.suppress(PermissionError):
                    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

        return bind

    @contextlib.contextmanager
    def wineserver_bound(self, cpus):
        """Binds it as the others are. Left where it likes, it takes one of two
        ways, for no reason of the server's: a round trip lasts 140 µs when all
        three share a processor, and 300 µs when each call wakes the other one."""
        if not self.windows or cpus != "same":
            yield
            return
        found = servers.wineserver(self.env["WINEPREFIX"])
        os.sched_setaffinity(found, {self.cpus[0]})
        try:
            yield
        finally:
            os.sched_setaffinity(found, set(self.cpus))

    # Processes ------------------------------------------------------------------

    @contextlib.contextmanager
    def server(self, command, cpus="split", first=False):
        log = os.path.join(self.folder, "server.log")
        with open(log, "wb") as file:
            process = subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, preexec_fn=self.bound_to(cpus, 0, first))
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

    def load(self, kind, row, limit):
        """The result of one run of the load program; None: the server could not
        keep up with the rate."""
        address = servers.address(kind, row.exchange, self.folder, self.windows)
        command = self.program("load") + [address] + row.load + limit
        command += ["--wait", str(START_MS)] + (["--stream"] if kind.stream else [])
        if not row.exchange:
            command += ["--size", str(row.size)]
        # Into files: under Wine, what starts first also starts services, and they
        # would hold a pipe open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            try:
                status = subprocess.call(
                    command, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                    timeout=self.options.seconds + 60,
                    preexec_fn=self.bound_to(row.cpus, 1, bool(row.rate_of)))
            except subprocess.TimeoutExpired:
                status = "none"
            out.seek(0)
            errors.seek(0)
            if status == STALLED and row.rate_of:
                return None
            if status != 0:
                raise Failed(f"{shlex.join(command)}: exit status {status}\n"
                             + errors.read().decode(errors="replace"))
            return json.loads(out.read())

    # Measuring ------------------------------------------------------------------

    def rate(self, row):
        """Half of what the slowest server did in its best run when nothing held the
        load back: the same for all, and none is near its own limit."""
        return max(round(self.slowest[row.rate_of] / 2, -3), 1000)

    def sample(self, kind, row):
        limit = ["--seconds", str(self.options.seconds)]
        if row.rate_of:
            limit += ["--rate", str(self.rate(row))]
        command = self.server_command(kind, row.exchange)
        with self.wineserver_bound(row.cpus), \
                self.server(command, row.cpus, bool(row.rate_of)) as process:
            # The first messages pay for what happens only once.
            self.load(kind, table.Row("", "us", row.load[:2], size=row.size), ["--count", "200"])
            before = servers.cpu_seconds(process.pid)
            result = self.load(kind, row, limit)
            used = servers.cpu_seconds(process.pid) - before
        if result:
            result["value"] = row.value(result)
            result["server_cpu_us"] = used * 1e6 / max(result["count"], 1)
        return result

    def measure(self, row):
        kinds = [k for k in servers.kinds(self.options.system) if row.peers or not k.is_peer]
        runs = {kind.name: [] for kind in kinds}
        total = self.options.rounds * len(kinds)
        for i in range(total):
            kind = kinds[i % len(kinds)]
            report.progress(f"{row.title}: {i + 1} of {total}, {kind.name}")
            result = self.sample(kind, row)
            if result:
                runs[kind.name].append(result)
        report.progress("")
        measured = report.summary(row, kinds, runs)
        self.slowest[row.title] = min(v["most"] for v in measured["kinds"].values())
        if row.rate_of:
            measured["rate"] = self.rate(row)
        return measured


# Command line -------------------------------------------------------------------


def arguments():
    system = os.environ.get("PH_SYSTEM", "linux").partition("-")[0]
    parser = argparse.ArgumentParser(
        description="Measures pipehost against the floor, and its peers.")
    parser.add_argument("--system", choices=("linux", "windows"), default=system)
    parser.add_argument("--pipehost", metavar="COMMAND",
                        help="default: $PIPEHOST, else what build.sh has built")
    parser.add_argument("--build", metavar="DIR",
                        help="holds tests/bench/ (default: $PH_BUILD, else build/SYSTEM)")
    parser.add_argument("--rounds", type=int, default=3, help="runs for each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a run (%(default)s)")
    parser.add_argument("--only", metavar="TEXT", default="", help="rows with TEXT in their title")
    parser.add_argument("--no-peers", action="store_true", help="the floor and pipehost alone")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--charts", metavar="DIR", help="draw them as SVG into DIR (gnuplot)")
    options = parser.parse_args()
    windows = options.system == "windows"
    options.build = options.build or os.environ.get("PH_BUILD") or os.path.join(
        ROOT, "build", options.system)
    built = os.path.join(options.build, "pipehost" + (".exe" if windows else ""))
    options.pipehost = options.pipehost or os.environ.get("PIPEHOST") or shlex.join(
        (["wine"] if windows else []) + [built])
    if not 1 <= options.rounds <= 50 or not 0.05 <= options.seconds <= 60:
        parser.error("--rounds 1 to 50, --seconds 0.05 to 60")
    if options.charts and not shutil.which("gnuplot"):
        parser.error("--charts needs gnuplot")
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
    begin = time.monotonic()
    bench = Bench(options, folder)
    machine = report.machine()
    if options.system == "windows":
        machine["wine"] = subprocess.run(["wine", "--version"], stdout=subprocess.PIPE, text=True,
                                         stderr=subprocess.DEVNULL, check=False).stdout.split(" ")[0].strip()
    if options.no_peers:
        servers.PEERS_KINDS.clear()
    chosen = table.chosen(options.system, options.only)
    figures = {"system": options.system, "machine": machine, "date": time.strftime("%Y-%m-%d"),
               "seconds": options.seconds, "rounds": options.rounds,
               "missing_peers": servers.missing_peers(options.system),
               "rows": [bench.measure(row) for row in chosen]}
    if not options.only:
        figures["single"] = single.measure(bench)
        figures["instructions"] = counting.measure(bench)
    if options.only in limits.TITLE:
        figures["limits"] = limits.measure(bench)
    if options.system == "linux" and options.only in "workers":
        figures["workers"] = workers.measure(bench)
    figures["took_s"] = time.monotonic() - begin
    report.print_all(figures)
    if options.json:
        report.write_json(figures, options.json)
    if options.charts:
        report.draw(figures, options.charts)


def main():
    options = arguments()
    begin = time.monotonic()
    folder = tempfile.mkdtemp(prefix="ph-bench-")  # 0700
    try:
        with wine_prefix(options):
            run(options, folder)
    except Failed as error:
        report.progress("")
        sys.exit(f"bench.py: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
