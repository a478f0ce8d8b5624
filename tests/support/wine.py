# SPDX-License-Identifier: MIT
"""A Wine prefix of the project's own, in .wine/, without a display."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile

COMMAND = ["wine"]

# A run that was killed leaves no server for longer than this.
SERVER_SECONDS = 120


def environment(root):
    return {
        "WINEPREFIX": os.path.join(root, ".wine", "prefix"),
        "WINEDEBUG": "-all",
        "WINEARCH": "win64",
        # A crash must end the program, not start a debugger; and no installers
        # of .NET and HTML at the first start.
        "WINEDLLOVERRIDES": "winedbg.exe=d;winemenubuilder.exe=d;mscoree=;mshtml=",
        "DISPLAY": "",
        # Debian's Wine looks for the server below TMPDIR: one value for all.
        "TMPDIR": "/tmp",
    }


def is_service(command_line):
    """One of the processes that Wine itself starts in a prefix."""
    line = command_line.lower()
    return "c:\\windows\\" in line or "wineserver" in line


def _call(root, *command):
    """Exit status and output. The output goes through a file, since a server
    that the command starts would hold a pipe open."""
    with tempfile.TemporaryFile() as output:
        status = subprocess.call(
            command,
            env={**os.environ, **environment(root)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=120,
        )
        output.seek(0)
        return status, output.read().decode(errors="replace").strip()


def _make(root):
    """Makes the prefix, unless this version of Wine has made it before."""
    folder = environment(root)["WINEPREFIX"]
    mark = os.path.join(folder, ".made")
    _, version = _call(root, "wine", "--version")
    if os.path.exists(mark):
        with open(mark) as file:
            if file.read() == version:
                return
    print("== making the Wine prefix", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    status, output = _call(root, "wine", "wineboot", "-i")
    _call(root, "wineserver", "-w")
    if status or not os.path.exists(os.path.join(folder, "system.reg")):
        sys.exit(f"run.py: wineboot failed: {output}")
    with open(mark, "w") as file:
        file.write(version)


@contextlib.contextmanager
def prefix(root):
    """The prefix and its server. Several runs may share them: the last one
    that goes ends the server."""
    os.makedirs(os.path.join(root, ".wine"), exist_ok=True)
    with open(os.path.join(root, ".wine", "lock"), "w") as lock:
        with open(os.path.join(root, ".wine", "making"), "w") as making:
            fcntl.flock(making, fcntl.LOCK_EX)
            _make(root)
            fcntl.flock(lock, fcntl.LOCK_SH)
        _call(root, "wineserver", f"-p{SERVER_SECONDS}")
        # Wine's services keep the output of the program that started them.
        _call(root, "wine", "cmd", "/c", "exit")
        try:
            yield
        finally:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _call(root, "wineserver", "-k")
            except BlockingIOError:
                pass
