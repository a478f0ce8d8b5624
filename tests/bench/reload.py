#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times a reload with many open connections under traffic.

    python3 tests/bench/reload.py [--system linux|windows] [--connections 1000]

"commit" is the step in which the new generation takes over, with what else the
loop does meanwhile; each connection then crosses with its state when it is idle.
"""

import argparse
import contextlib
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import wine  # noqa: E402

SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = "PIPE",
  backlog = 256,
  on_message = function(conn, message)
    conn.state.count = (conn.state.count or 0) + 1
    return conn.state.count .. " " .. message
  end,
}
"""
NAMES = ("commit", "reload", "until the old one is closed", "latest reply")


def arguments():
    parser = argparse.ArgumentParser(description="Times reloads under traffic.")
    parser.add_argument("--system", choices=("linux", "windows"), default="linux")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--pause", type=int, default=100, help="ms between a client's messages")
    return parser.parse_args()


def measure(options, command, env, folder):
    pipe, control = f"bench-reload-{os.getpid()}", f"bench-control-{os.getpid()}"
    path = os.path.join(folder, "server.lua")
    with open(path, "w") as file:
        file.write(SERVER.replace("PIPE", pipe))
    script = os.path.join(HERE, "reload.lua")
    if options.system == "windows":
        path, script = ("Z:" + p.replace("/", "\\") for p in (path, script))
    server = subprocess.Popen(
        command + ["serve", path, "--control", control], env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in server.stderr:
            if "serving 1 script" in line:
                break
        words = [pipe, control, str(options.connections), str(options.reloads), str(options.pause)]
        return subprocess.run(
            command + ["run", script] + words, env=env, stdout=subprocess.PIPE, text=True,
            timeout=600, check=True,
        ).stdout.splitlines()
    finally:
        server.terminate() if options.system == "linux" else server.kill()
        server.wait()


def main():
    options = arguments()
    windows = options.system == "windows"
    program = os.path.join(ROOT, "build", options.system, "pipehost" + (".exe" if windows else ""))
    command = shlex.split(os.environ.get("PIPEHOST", "")) or (["wine"] if windows else []) + [program]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ph-bench-"))
        os.chmod(folder, 0o700)
        env = dict(os.environ, PIPEHOST_DIR=folder)
        if windows:
            stack.enter_context(wine.prefix(ROOT))
            env.update(wine.environment(ROOT))
        first, *rows = measure(options, command, env, folder)
    print(first)
    numbers = [[float(n) for n in re.findall(r"[\d.]+", row)] for row in rows]
    for name, values in zip(NAMES, zip(*numbers)):
        print(f"{name:30} median {statistics.median(values):8.3f} ms   worst {max(values):8.3f} ms")


if __name__ == "__main__":
    main()
