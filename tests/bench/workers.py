# SPDX-License-Identifier: MIT
"""What further workers bring: a handler that computes about 200 us, with one
and with two of them, and the load beside them on the same two processors."""

import os
import resource
import statistics

import rows
import servers

ROUNDS = 5
SECONDS = 1
LOAD = ["--mode", "throughput", "--connections", "16"]
ROW = rows.Row("a handler that computes 200 us", "msg/s", LOAD, cpus=None)


def _load_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(bench, kind, count):
    script = os.path.join(servers.HERE, "compute.lua")
    command = bench.server_command(kind, script=script) + ["--workers", str(count)]
    with bench.server(command, None) as process:
        bench.load(kind, ROW, ["--count", "500"])
        before, load_before = servers.cpu_seconds(process.pid), _load_cpu()
        result = bench.load(kind, ROW, ["--seconds", str(SECONDS)])
        result["server_us"] = (servers.cpu_seconds(process.pid) - before) * 1e6 / result["count"]
        result["load_us"] = (_load_cpu() - load_before) * 1e6 / result["count"]
        result["cpus"] = result["server_us"] * result["per_second"] / 1e6
    return result


def measure(bench):
    """For one and two workers: messages/s and processor time of each; the ratio
    of the rates, and the most that two processors allow which the load shares."""
    kind = servers.OWN[1]
    runs = {1: [], 2: []}
    for i in range(2 * ROUNDS):
        runs[1 + i % 2].append(_run(bench, kind, 1 + i % 2))
    found = {}
    for count, results in runs.items():
        found[str(count)] = {key: statistics.median(r[key] for r in results)
                             for key in ("per_second", "server_us", "load_us", "cpus", "p50_us", "p99_us")}
    one, two = found["1"], found["2"]
    found["ratio"] = two["per_second"] / one["per_second"]
    found["most"] = 2 * one["server_us"] / (two["server_us"] + two["load_us"])
    return found


def print_all(found):
    for count in ("1", "2"):
        v = found[count]
        print(f"workers {count}, {ROW.title}: {v['per_second']:.0f} msg/s, processor time of each: server "
              f"{v['server_us']:.1f} us, load {v['load_us']:.1f} us; {v['cpus']:.2f} processors used")
    print(f"workers: 2 give {found['ratio']:.2f} of 1; with the load beside them at most {found['most']:.2f}")
