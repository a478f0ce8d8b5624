# SPDX-License-Identifier: MIT
"""For tests in Python: unittest with run.py's lines, and processes.

    import phtest

    class Exchange(phtest.TestCase):
        def test_answer(self):
            name = self.pipe_name()
            server = self.start("serve", phtest.native(script), "--set", "name=" + name)
            server.wait_for(r"listening")
            done = self.run_pipehost("run", phtest.native(client))
            self.assertEqual(done.status, 0, done)
            self.assertEqual(server.stop(), 0)

    if __name__ == "__main__":
        phtest.main()

A test file finds this module with
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
and runs by itself as well: python3 tests/x/y_test.py (Linux, release).
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest

import wine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SYSTEM = os.environ.get("PH_SYSTEM", "linux")
WINDOWS = SYSTEM == "windows"
SANITIZE = SYSTEM == "linux-sanitize"
BUILD = os.environ.get("PH_BUILD", os.path.join(ROOT, "build/linux"))
PIPEHOST = shlex.split(os.environ.get("PIPEHOST", os.path.join(BUILD, "pipehost")))
TMP = os.environ.get("PH_TMP") or tempfile.mkdtemp(prefix="ph-")

# Time limits are multiplied by this: sanitizers are slow, and so is Wine's start.
SLOW = 3 if SANITIZE or WINDOWS else 1


def native(path):
    """A path as programs of the tested system take it."""
    path = os.path.abspath(path)
    return "Z:" + path.replace("/", "\\") if WINDOWS else path


def program(name):
    """The command that runs a built test program, "interop/x_win32" say."""
    if WINDOWS:
        return wine.COMMAND + [os.path.join(BUILD, "tests", name + ".exe")]
    return [os.path.join(BUILD, "tests", name)]


def eventually(condition, seconds=10, what="condition"):
    """Waits until condition() is true, and returns what it gave."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds * SLOW} s")
        time.sleep(0.01)


class Finished:
    """A process that has ended."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self):
        return f"exit status {self.status}\nstdout:\n{self.out}\nstderr:\n{self.err}"


class Process:
    """A process whose lines, of both streams, are collected as they come."""

    def __init__(self, command, env, cwd=ROOT, stdin=subprocess.DEVNULL):
        self.command = command
        self.process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.pid = self.process.pid
        self.lines = []
        self._of = {"out": [], "err": []}
        self._changed = threading.Condition()
        self._searched = 0
        self._readers = [
            threading.Thread(target=self._read, args=(stream, name), daemon=True)
            for stream, name in ((self.process.stdout, "out"), (self.process.stderr, "err"))
        ]
        self._open = len(self._readers)
        for reader in self._readers:
            reader.start()

    def _read(self, stream, name):
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            with self._changed:
                self.lines.append(line)
                self._of[name].append(line)
                self._changed.notify_all()
        stream.close()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    @property
    def out(self):
        return "\n".join(self._of["out"])

    @property
    def err(self):
        return "\n".join(self._of["err"])

    def __repr__(self):
        return f"{' '.join(self.command)} printed:\n" + "\n".join(self.lines)

    def wait_for(self, pattern, seconds=10):
        """The match of the next line with pattern, after the one that the last
        call found."""
        deadline = time.monotonic() + seconds * SLOW
        with self._changed:
            while True:
                while self._searched < len(self.lines):
                    self._searched += 1
                    found = re.search(pattern, self.lines[self._searched - 1])
                    if found:
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._open:
                    why = "not within the time" if self._open else "it has ended"
                    raise AssertionError(f"no line {pattern!r} ({why}); {self!r}")
                self._changed.wait(left)

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds=30):
        """Exit status, when it has ended by itself and all output is in."""
        try:
            status = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds * SLOW} s; {self!r}") from None
        for reader in self._readers:
            reader.join(5)
        return status

    def write(self, data):
        """To its stdin, which the caller has asked for with stdin=PIPE."""
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=20):
        """Asks it to end, and returns its exit status."""
        if self.running():
            # Wine hands SIGINT to the program as Ctrl-C; it has no SIGTERM.
            self.signal(signal.SIGINT if WINDOWS else signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        """Ends it at once, as kill -9 and TerminateProcess do."""
        if self.running():
            self.process.kill()
        self.process.wait()


class TestCase(unittest.TestCase):
    """Each test has a folder of its own, pipes of its own, and no process of
    it is left when it ends."""

    longMessage = True
    _pipe_number = 0

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="test-", dir=TMP)
        self.pipes = os.path.join(self.folder, "pipes")
        os.mkdir(self.pipes, 0o700)
        self.env = dict(os.environ, PIPEHOST_DIR=self.pipes)
        self._processes = []
        self.addCleanup(self._end_processes)

    def _end_processes(self):
        for process in self._processes:
            process.kill()

    def pipe_name(self):
        """A new name: on Windows all tests share one space of names."""
        TestCase._pipe_number += 1
        return f"ph-{os.getpid()}-{TestCase._pipe_number}"

    def write_file(self, name, text):
        """A file in the test's folder; returns its path."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    def spawn(self, command, **options):
        """Starts any command; it is ended with the test."""
        options.setdefault("env", self.env)
        process = Process(list(command), **options)
        self._processes.append(process)
        return process

    def start(self, *arguments, **options):
        """Starts pipehost."""
        return self.spawn(PIPEHOST + list(arguments), **options)

    def finish(self, command, seconds=30, text=None, **options):
        """Runs any command to its end, with text on its stdin."""
        if text is not None:
            options["stdin"] = subprocess.PIPE
        process = self.spawn(command, **options)
        if text is not None:
            process.write(text)
            process.process.stdin.close()
        status = process.wait(seconds)
        return Finished(status, process.out, process.err)

    def run_pipehost(self, *arguments, **options):
        """Runs pipehost to its end."""
        return self.finish(PIPEHOST + list(arguments), **options)


class _Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = self.failed = self.skips = 0

    @staticmethod
    def _name(test):
        return test.id().replace("__main__.", "", 1)

    def _fail(self, test, error):
        self.failed += 1
        first = (str(error[1]).splitlines() or [error[0].__name__])[0]
        print(f"not ok - {self._name(test)}: {first}")
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print("  # " + line)
        sys.stdout.flush()

    def addSuccess(self, test):
        self.passed += 1
        print("ok - " + self._name(test), flush=True)

    def addFailure(self, test, err):
        self._fail(test, err)

    def addError(self, test, err):
        self._fail(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._fail(subtest, err)

    def addSkip(self, test, reason):
        self.skips += 1
        print(f"skip - {self._name(test)}: {reason}", flush=True)

    def addExpectedFailure(self, test, err):
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test):
        self.failed += 1
        print(f"not ok - {self._name(test)}: passed, which was not expected")


def main():
    """Runs the tests of the calling file; names of tests may be given."""
    names = sys.argv[1:]
    loader = unittest.defaultTestLoader
    module = sys.modules["__main__"]
    suite = (
        loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    )
    result = _Result()
    suite.run(result)
    line = f"{result.passed} passed, {result.failed} failed"
    print(line + (f", {result.skips} skipped" if result.skips else ""), flush=True)
    sys.exit(1 if result.failed else 0)
