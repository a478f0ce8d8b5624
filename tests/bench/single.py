# SPDX-License-Identifier: MIT
"""Figures that are no rate: memory of idle connections, start-up, limits, reloads."""

import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import time

import servers

IDLE = 10000
STARTS = 15
LOOPS = 5


def _connect(address, kind):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if kind.stream else socket.SOCK_SEQPACKET)
    try:
        client.connect(address)
    except OSError:
        client.close()
        raise
    return client


def _wait_for(address, kind, seconds=10):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _connect(address, kind)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.0002)


def _echo(client):
    client.sendall(b"x" * 64)
    assert len(client.recv(65536)) == 64


def _idle_bytes(bench, kind, script=None):
    """User-space memory of the server for each of IDLE connections that have
    said one word and then nothing."""
    address = servers.address(kind, False, bench.folder, False)
    with bench.server(bench.server_command(kind, script=script)) as process:
        first = _wait_for(address, kind)
        _echo(first)
        before = servers.private_bytes(process.pid)
        clients = []
        try:
            for _ in range(IDLE):
                clients.append(_connect(address, kind))
                _echo(clients[-1])
            return (servers.private_bytes(process.pid) - before) / IDLE
        finally:
            for client in clients + [first]:
                client.close()


def memory(bench):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    found = {}
    for kind in servers.kinds("linux"):
        found[kind.name] = _idle_bytes(bench, kind)
    session = os.path.join(servers.HERE, "echo_session.lua")
    found["pipehost (session)"] = _idle_bytes(bench, servers.OWN[1], session)
    return found


def _version_ms(bench):
    begin = time.perf_counter()
    subprocess.run(bench.pipehost + ["--version"], stdout=subprocess.DEVNULL, check=True, env=bench.env)
    return (time.perf_counter() - begin) * 1000


def _first_answer_ms(bench, kind):
    address = servers.address(kind, False, bench.folder, False)
    command = bench.server_command(kind)
    begin = time.perf_counter()
    with bench.server(command):
        with _wait_for(address, kind) as client:
            _echo(client)
            return (time.perf_counter() - begin) * 1000


def starts(bench):
    found = {"--version": statistics.median(_version_ms(bench) for _ in range(STARTS))}
    if not bench.windows:
        for kind in servers.kinds("linux"):
            found[kind.name] = statistics.median(_first_answer_ms(bench, kind) for _ in range(STARTS))
    return found


def _loop_ms(bench, *options):
    script = os.path.relpath(os.path.join(servers.HERE, "loop.lua"))
    done = subprocess.run(bench.pipehost + ["run", *options, script], check=True, env=bench.env,
                          stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def limits(bench):
    """Processor time of a tight loop, with limits as a share of without: the least
    of each, since whatever else runs only adds to it."""
    runs = [(_loop_ms(bench), _loop_ms(bench, "--no-limits")) for _ in range(LOOPS)]
    on, off = (min(times) for times in zip(*runs))
    return {"tight loop, limits on": on, "tight loop, --no-limits": off}


def reloads(bench):
    """What reload.py prints: name -> median and worst, in ms."""
    script = os.path.join(servers.HERE, "reload.py")
    done = subprocess.run(
        [sys.executable, script, "--system", bench.options.system], check=True, text=True,
        stdout=subprocess.PIPE, env=bench.env)
    rows = re.findall(r"^(.+?)\s+median\s+([\d.]+) ms\s+worst\s+([\d.]+) ms", done.stdout, re.M)
    return {name: {"median": float(median), "worst": float(worst)} for name, median, worst in rows}


def measure(bench):
    found = {"start_ms": starts(bench), "loop_ms": limits(bench), "reload_ms": reloads(bench)}
    if not bench.windows:
        found["idle_bytes"] = memory(bench)
    return found
