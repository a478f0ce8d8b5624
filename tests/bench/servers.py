# SPDX-License-Identifier: MIT
"""The servers that are measured: pipehost, the floor, and the peers."""

import os
import re
import shlex
import shutil

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = os.path.join(HERE, "peers")


class Kind:
    """One server. A stream kind is compared with the floor on streams, the
    others with the floor on messages."""

    def __init__(self, name, stream=False, command=None, needs=None):
        self.name = name
        self.stream = stream
        self.command = command
        self.needs = needs

    @property
    def floor(self):
        return "floor (stream)" if self.stream else "floor"

    @property
    def is_peer(self):
        return self.command is not None

    @property
    def is_pipehost(self):
        return self.name.startswith("pipehost")

    def missing(self):
        return self.needs is not None and shutil.which(self.needs[0]) is None


def _peer(name, program, file):
    return Kind(name, True, [program, os.path.join(PEERS, file)], (program,))


OWN = [Kind("floor"), Kind("pipehost")]
STREAMS = [Kind("floor (stream)", True), Kind("pipehost (stream)", True)]
PEERS_KINDS = [
    _peer("luv", "lua5.4", "luv.lua"),
    _peer("cqueues", "lua5.4", "cqueues.lua"),
    _peer("asyncio", "python3", "asyncio_server.py"),
    _peer("Node", "node", "node.js"),
]


def kinds(system):
    if system == "windows":
        return OWN
    return OWN + STREAMS + [k for k in PEERS_KINDS if not k.missing()]


def missing_peers(system):
    return [] if system == "windows" else [k.name for k in PEERS_KINDS if k.missing()]


def pipe_name(kind, exchange):
    """The name that the server takes, before the system's part."""
    if kind.is_pipehost:
        return "ServerInfo" if exchange else "bench"
    return f"bench-{os.getpid()}"


def script(kind, exchange):
    if exchange:
        return os.path.join(HERE, "exchange_stream.lua") if kind.stream else os.path.join(
            ROOT, "scripts", "server_info", "server.lua")
    return os.path.join(HERE, "echo_stream.lua" if kind.stream else "echo_message.lua")


def address(kind, exchange, folder, windows):
    name = pipe_name(kind, exchange)
    if windows:
        return "\\\\.\\pipe\\" + name
    return os.path.join(folder, name.lower())


def cpu_seconds(pid):
    """User and system time that the process has used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wineserver(prefix):
    """Process id of the server of this Wine prefix."""
    setting = b"WINEPREFIX=" + os.fsencode(prefix)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", "rb") as file:
                if not file.read().startswith(b"wineserver"):
                    continue
            with open(f"/proc/{pid}/environ", "rb") as file:
                if setting in file.read().split(b"\0"):
                    return int(pid)
        except OSError:  # it has gone, or is somebody else's
            continue
    raise ProcessLookupError(f"no wineserver serves {prefix}")


def private_bytes(pid):
    """Memory of the process alone that is no file's."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return int(re.search(r"^Anonymous:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024


def split(command):
    return shlex.split(command)
