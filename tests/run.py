#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test file in a process of its own, on each system; those of all
systems side by side.

Test files are found, not registered:
  tests/overlapped/*_test.c   the built program of that name
  tests/**/*_test.lua         pipehost test FILE…, all in one run but those with settings
  tests/**/*_test.py          python3 FILE (tests/support/phtest.py helps)
Each prints "ok - NAME", "not ok - NAME ...", "skip - NAME: REASON" and, as
its last line, "N passed, N failed[, N skipped]". Without that line it failed,
whatever its exit status.

A line "run.py: ..." near the top of a file sets, separated by spaces:
  systems=linux,windows   where it runs (default: everywhere)
  timeout=SECONDS         instead of 120 (three times that for sanitize)
  alone[=SYSTEMS]         nothing else runs beside it (on these systems)
A file named x_linux_test.* or x_win32_test.* runs on that system only.

The environment of each: PIPEHOST (the program; for Python a command line),
PH_SYSTEM, PH_ROOT, PH_BUILD (test programs are below it), PH_TMP (a folder of
its own), PIPEHOST_DIR (in that folder, for pipes on Linux).
"""

import argparse
import concurrent.futures
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
import wine  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SYSTEMS = ("linux", "linux-sanitize", "windows")
BUILD = {
    "linux": "build/linux",
    "linux-sanitize": "build/linux/sanitize",
    "windows": "build/windows",
}
TIMEOUT = 120
JOBS = 3 * (os.cpu_count() or 1)  # most of a test's time is waiting
SANITIZE_FACTOR = 3
LUA_TEST_MS = 30000 # of one test in a batch
REPORT = "report.xml"
HEAD_LINES, TAIL_LINES = 60, 100  # of the output of a file that failed
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


class TestFile:
    def __init__(self, path):
        self.path = path
        self.systems = SYSTEMS
        self.timeout = TIMEOUT
        self.alone = ()
        base = os.path.splitext(os.path.basename(path))[0]
        if base.endswith("_linux_test"):
            self.systems = ("linux", "linux-sanitize")
        elif base.endswith("_win32_test"):
            self.systems = ("windows",)
        self._read_settings()

    def _read_settings(self):
        with open(os.path.join(ROOT, self.path), encoding="utf-8", errors="replace") as file:
            for _, line in zip(range(30), file):
                found = re.match(r"^\W*run\.py:\s*(.*?)\W*$", line)
                if found:
                    for word in found.group(1).split():
                        self._set(word)

    def _set(self, word):
        key, _, value = word.partition("=")
        if key == "systems" and set(value.split(",")) <= set(SYSTEMS):
            self.systems = tuple(value.split(","))
        elif key == "timeout" and value.isdigit():
            self.timeout = int(value)
        elif word == "alone":
            self.alone = SYSTEMS
        elif key == "alone" and set(value.split(",")) <= set(SYSTEMS):
            self.alone = tuple(value.split(","))
        else:
            sys.exit(f"run.py: {self.path}: unknown setting {word!r}")


class Batch:
    """Files of Lua tests that one `pipehost test` runs side by side."""

    alone = ()

    def __init__(self, tests, jobs):
        self.tests = tests
        self.jobs = jobs
        self.path = f"{len(tests)} files of Lua"
        self.timeout = TIMEOUT + 5 * len(tests)


class Outcome:
    """What one file came to on one system."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.skips = []
        self.output = ""
        self.seconds = 0.0
        self.files = None  # of a batch: outcomes by path

    def fail(self, what):
        self.failed += 1
        self.failures.append(what)


def find_tests():
    found = []
    for folder, folders, names in os.walk(os.path.join(ROOT, "tests")):
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        below = os.path.relpath(folder, ROOT)
        for name in sorted(names):
            if name.endswith(("_test.lua", "_test.py")) or (
                name.endswith("_test.c") and below == "tests/overlapped"
            ):
                found.append(f"{below}/{name}")
    found += find_scripts()
    return [TestFile(path) for path in found]


def find_scripts():
    """Tests that lie beside the scripts they are about."""
    found = []
    for folder, folders, names in os.walk(os.path.join(ROOT, "scripts")):
        folders.sort()
        below = os.path.relpath(folder, ROOT)
        found += [f"{below}/{n}" for n in sorted(names) if n.endswith("_test.lua")]
    return found


# One file


def native(system, path):
    """A path as programs of that system take it (Wine's Z: is /)."""
    return "Z:" + path.replace("/", "\\") if system == "windows" else path


def slowness(system):
    return SANITIZE_FACTOR if system == "linux-sanitize" else 1


def command_of(test, system, folder):
    build = os.path.join(ROOT, BUILD[system])
    path = os.path.join(ROOT, test.path)
    runner = wine.COMMAND if system == "windows" else []
    suffix = ".exe" if system == "windows" else ""
    if test.path.endswith(".py"):
        return [sys.executable, path]
    if test.path.endswith(".c"):
        program = os.path.splitext(test.path)[0] + suffix
        return runner + [os.path.join(build, program)]
    command = runner + [os.path.join(build, "pipehost" + suffix), "test"]
    if isinstance(test, Batch):
        command += ["--jobs", str(test.jobs), "--timeout", str(LUA_TEST_MS * slowness(system))]
        command += ["--junit", native(system, os.path.join(folder, REPORT))]
        return command + [t.path for t in test.tests]
    return command + [native(system, path)]


def environment_of(test, system, folder, mark):
    """folder is this run's own; mark tells the processes that it starts."""
    build = os.path.join(ROOT, BUILD[system])
    suffix = ".exe" if system == "windows" else ""
    program = os.path.join(build, "pipehost" + suffix)
    env = dict(os.environ)
    for name in ("XDG_RUNTIME_DIR", "LUA_PATH", "LUA_CPATH", "LUA_INIT", "PH_KEEP"):
        env.pop(name, None)
    env.update(
        PH_SYSTEM=system,
        PH_ROOT=ROOT,
        PH_TEST_MARK=mark,
        PIPEHOST_DIR=os.path.join(folder, "pipes"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    if system == "windows":
        env.update(wine.environment(ROOT))
    if test.path.endswith(".py"):
        runner = wine.COMMAND if system == "windows" else []
        env.update(PIPEHOST=shlex.join(runner + [program]), PH_BUILD=build, PH_TMP=folder)
    else:
        env.update(
            PIPEHOST=native(system, program),
            PH_BUILD=native(system, build),
            PH_ROOT=native(system, ROOT),
            PH_TMP=native(system, folder),
        )
    if system != "windows":
        env["TMPDIR"] = folder
    if system == "linux-sanitize":
        # Reports go to files: a test may not show what its children print.
        log = "log_path=" + os.path.join(folder, "sanitizer")
        env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1:" + log
        env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1:" + log
    return env


def marked_processes(mark):
    """Processes of that run which are still there, as (pid, command line)."""
    needle = b"PH_TEST_MARK=" + mark.encode() + b"\0"
    found = []
    for name in os.listdir("/proc"):
        try:
            if not name.isdigit():
                continue
            with open(f"/proc/{name}/environ", "rb") as file:
                if needle not in file.read() + b"\0":
                    continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            if line:
                found.append((int(name), line))
        except OSError:
            continue
    return found


def left_behind(mark, system):
    """Ends what the file has left running, and tells what that was."""
    deadline = time.monotonic() + 2
    while True:
        left = marked_processes(mark)
        if system == "windows":
            # Wine's own services end with the server of the prefix.
            left = [p for p in left if not wine.is_service(p[1])]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for pid, _ in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    return [line for _, line in left]


def sanitizer_reports(folder):
    texts = []
    for name in sorted(os.listdir(folder)):
        if name.startswith("sanitizer."):
            with open(os.path.join(folder, name), errors="replace") as file:
                texts.append(file.read())
    return texts


class Runner:
    def __init__(self, keep):
        self.keep = keep
        self.lock = threading.Lock()
        self.running = {}
        self.number = 0
        self.stopped = False

    def stop(self):
        self.stopped = True
        with self.lock:
            for process in self.running.values():
                kill_group(process)

    def run(self, test, system):
        outcome = Outcome()
        if self.stopped:
            return outcome
        with self.lock:
            self.number += 1
            mark = f"{os.getpid()}-{self.number}"
        folder = tempfile.mkdtemp(prefix="ph-")
        os.mkdir(os.path.join(folder, "pipes"), 0o700)
        begin = time.monotonic()
        try:
            status = self._run_child(test, system, folder, mark, outcome)
            outcome.seconds = time.monotonic() - begin
            outcome.files = file_outcomes(test, folder) if isinstance(test, Batch) else None
            judge(outcome, status)
            for line in left_behind(mark, system):
                outcome.fail(f"left a process running: {line}")
            for report in sanitizer_reports(folder):
                outcome.fail("sanitizer report")
                outcome.output += "\n" + report
        finally:
            if not self.keep:
                shutil.rmtree(folder, ignore_errors=True)
        if self.keep:
            outcome.output += f"\n(kept: {folder})"
        return outcome

    def _run_child(self, test, system, folder, mark, outcome):
        """Its exit status, or None when it was ended at its time limit."""
        command = command_of(test, system, folder)
        limit = test.timeout * slowness(system)
        log = os.path.join(folder, "output")
        missing = next((p for p in command if p.startswith(ROOT) and not os.path.exists(p)), None)
        if missing:
            outcome.output = f"{missing} has not been built"
            return 127
        # Into a file: a pipe would be held open by what a test leaves behind.
        with open(log, "wb") as file:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment_of(test, system, folder, mark),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with self.lock:
            self.running[mark] = process
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
            outcome.fail(f"not done after {limit} s")
        finally:
            kill_group(process)
            process.wait()
            with self.lock:
                del self.running[mark]
        with open(log, "rb") as file:
            outcome.output = file.read().decode(errors="replace").replace("\r\n", "\n")
        return status


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass


def judge(outcome, status):
    """Counts from the closing line; a file that has none has failed."""
    closing = None
    named = []
    for line in outcome.output.splitlines():
        if line.startswith("not ok"):
            named.append(line[len("not ok"):].lstrip(" -"))
        elif line.startswith("skip"):
            outcome.skips.append(line[len("skip"):].lstrip(" -"))
        closing = CLOSING.match(line.strip()) or closing
    if closing is None:
        if status is not None:
            outcome.fail(f"no closing line, exit status {status}")
        outcome.failures += named
        return
    outcome.passed = int(closing.group(1))
    outcome.skipped = int(closing.group(3) or 0)
    failed = int(closing.group(2))
    outcome.failed += failed
    outcome.failures += named[:failed]
    outcome.failures += ["(not named)"] * (failed - len(named))
    if status not in (0, None) and not failed:
        outcome.fail(f"exit status {status} after a closing line without failures")
    if not outcome.passed + outcome.failed + outcome.skipped:
        outcome.fail("ran no test")


def texts_of(case, tag):
    return [(element.text or element.get("message") or "") for element in case.findall(tag)]


def file_outcomes(batch, folder):
    """The outcome of each file of the batch, as its report tells; None: there
    is no report."""
    try:
        suites = ElementTree.parse(os.path.join(folder, REPORT)).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    outcomes = {}
    for suite in suites:
        outcome = outcomes[suite.get("name")] = Outcome()
        outcome.seconds = float(suite.get("time"))
        for case in suite:
            name, failures, skips = case.get("name"), texts_of(case, "failure"), texts_of(case, "skipped")
            if failures:
                outcome.fail(name)
                outcome.output += f"not ok - {name}\n" + "\n".join(failures + texts_of(case, "system-out")) + "\n"
            elif skips:
                outcome.skipped += 1
                outcome.skips.append(f"{name}: {skips[0]}")
            else:
                outcome.passed += 1
    for test in batch.tests:
        if test.path not in outcomes:
            outcomes[test.path] = Outcome()
            outcomes[test.path].fail("ran no test")
    return outcomes


# All of them


def report(test, system, outcome):
    counts = f"{outcome.passed} passed, {outcome.failed} failed"
    if outcome.skipped:
        counts += f", {outcome.skipped} skipped"
    word = "FAIL" if outcome.failed else "ok  "
    print(f"{word} {system:14} {test.path}: {counts}, {outcome.seconds:.1f} s", flush=True)
    if outcome.failed:
        lines = outcome.output.splitlines()
        more = len(lines) - HEAD_LINES - TAIL_LINES
        if more > 0:
            lines[HEAD_LINES:-TAIL_LINES] = [f"({more} lines are left out)"]
        for line in lines:
            print("     | " + line)
        for failure in outcome.failures:
            print("     > " + failure)
        sys.stdout.flush()


def with_batch(tests, jobs):
    """The Lua files without settings as one batch, which comes first."""
    lua = [t for t in tests if t.path.endswith(".lua") and not t.alone and t.timeout == TIMEOUT]
    if len(lua) < 2:
        return tests
    return [Batch(lua, max(1, jobs // 2))] + [t for t in tests if t not in lua]


def single_outcomes(test, outcome):
    """The files of a batch, each with its outcome. What is wrong beyond them is
    the batch's own."""
    if outcome.files is None:
        return [(test, outcome)]
    singles = [(t, outcome.files[t.path]) for t in test.tests]
    beyond = Outcome()
    known = sum(o.failed for _, o in singles)
    for failure in outcome.failures[known:]:
        beyond.fail(failure)
        beyond.output = outcome.output
    return singles + ([(test, beyond)] if beyond.failed else [])


def longest_first(item):
    """Batches, then what asks for much time: no long file is left for the end."""
    _, test = item
    return (not isinstance(test, Batch), -test.timeout)


def run_all(runner, tests, systems, jobs):
    """On all systems side by side; then those that run alone."""
    results = []
    work = [(s, t) for s in systems for t in with_batch([t for t in tests if s in t.systems], jobs)]

    def one(system, test):
        outcome = runner.run(test, system)
        if runner.stopped:
            return
        with runner.lock:
            for single, own in single_outcomes(test, outcome):
                report(single, system, own)
                results.append((system, single, own))

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            beside = sorted((w for w in work if w[0] not in w[1].alone), key=longest_first)
            for done in [pool.submit(one, *item) for item in beside]:
                done.result()
        except KeyboardInterrupt:
            # The pool waits for its threads, and they for their processes.
            runner.stop()
            raise
    for system, test in work:
        if system in test.alone:
            one(system, test)
    return results


def print_list(title, rows):
    if rows:
        print(f"\n{title}:")
        for row in rows:
            print("  " + row)


def summary(results):
    ordered = sorted(results, key=lambda r: (SYSTEMS.index(r[0]), r[1].path))
    print_list("Skipped", [f"{s} {t.path}: {x}" for s, t, o in ordered for x in o.skips])
    print_list("Failed", [f"{s} {t.path}: {x}" for s, t, o in ordered for x in o.failures])
    passed, failed, skipped = (
        sum(getattr(o, name) for _, _, o in results) for name in ("passed", "failed", "skipped")
    )
    line = f"{passed} passed, {failed} failed"
    if skipped:
        line += f", {skipped} skipped"
    print("\n" + line, flush=True)
    return 0 if passed and not failed else 1


def arguments():
    parser = argparse.ArgumentParser(description="Runs the tests.")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="default: all")
    parser.add_argument("--jobs", type=int, default=JOBS, help="files at once (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folders")
    parser.add_argument("--list", action="store_true", help="only print what would run")
    parser.add_argument("filter", nargs="*", help="parts of paths; default: every file")
    return parser.parse_args()


def terminate(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    tests = [
        t for t in find_tests() if not options.filter or any(f in t.path for f in options.filter)
    ]
    systems = [s for s in SYSTEMS if s in (options.system or SYSTEMS)]
    if options.list:
        for test in tests:
            print(test.path, *(s for s in test.systems if s in systems))
        return 0
    signal.signal(signal.SIGTERM, terminate)
    runner = Runner(options.keep)
    under_wine = "windows" in systems and any("windows" in t.systems for t in tests)
    try:
        with wine.prefix(ROOT) if under_wine else contextlib.nullcontext():
            results = run_all(runner, tests, systems, options.jobs)
    except KeyboardInterrupt:
        runner.stop()
        print("\nrun.py: interrupted", file=sys.stderr)
        return 130
    return summary(results)


if __name__ == "__main__":
    sys.exit(main())
