# SPDX-License-Identifier: MIT
"""Figures that are no rate: memory of idle connections, start-up."""

import os
import resource
import socket
import statistics
import subprocess
import time

import servers

IDLE = 10000
STARTS = 15


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


def measure(bench):
    found = {"start_ms": starts(bench)}
    if not bench.windows:
        found["idle_bytes"] = memory(bench)
    return found
