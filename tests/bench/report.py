# SPDX-License-Identifier: MIT
"""What was measured, as text, as JSON and as charts."""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys

import workers


def progress(text):
    """One line that is written over on a terminal, a line each elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
    elif text:
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.M)
    system = {}
    with contextlib.suppress(OSError), open("/etc/os-release", encoding="utf-8") as file:
        system = dict(re.findall(r'^(\w+)="?(.*?)"?$', file.read(), re.M))
    kernel = re.match(r"[\d.]*\d", os.uname().release)
    return {"processor": model.group(1) if model else "unknown", "cpus": os.cpu_count(),
            "kernel": kernel.group() if kernel else "unknown",
            "system": system.get("PRETTY_NAME", "Linux"),
            "load_before": os.getloadavg()[0]}


# Figures ------------------------------------------------------------------------


def _of(row, results):
    values = [r["value"] for r in results]
    return {
        "value": min(values) if row.rate_of else statistics.median(values), "least": min(values), "most": max(values),
        "p50_us": statistics.median(r["p50_us"] for r in results),
        "p99_us": statistics.median(r["p99_us"] for r in results),
        "p999_us": statistics.median(r["p999_us"] for r in results),
        "server_cpu_us": statistics.median(r["server_cpu_us"] for r in results),
    }


def summary(row, kinds, runs):
    found = {kind.name: _of(row, runs[kind.name]) for kind in kinds if runs[kind.name]}
    for kind in kinds:
        if kind.name in found:
            found[kind.name]["ratio"] = found[kind.name]["value"] / found[kind.floor]["value"]
    ratio = found["pipehost"]["ratio"]
    return {"title": row.title, "unit": row.unit, "target": row.target, "kinds": found,
            "more_is_better": row.more_is_better, "reached": row.reached(ratio)}


def best_peer(row):
    peers = {n: v for n, v in row["kinds"].items() if not n.startswith(("floor", "pipehost"))}
    if not peers:
        return None
    pick = max if row["more_is_better"] else min
    return pick(peers, key=lambda name: peers[name]["value"])


# Text ---------------------------------------------------------------------------


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def _print_row(row):
    bound = ""
    if row["target"]:
        sign = ">=" if row["more_is_better"] else "<="
        bound = f"  (target {sign} {row['target']:.2f}: {'' if row['reached'] else 'not '}reached)"
    rate = f" at {row['rate']:,.0f} messages/s" if "rate" in row else ""
    print(f"\n{row['title']}{rate}, {row['unit']}{bound}")
    for name, v in row["kinds"].items():
        print(f"  {name:18} {number(v['value']):>10}  {v['ratio']:6.3f}  "
              f"{number(v['least']):>9} to {number(v['most']):<9} "
              f"p50 {number(v['p50_us']):>8}  p99 {number(v['p99_us']):>8}  "
              f"p99.9 {number(v['p999_us']):>9}  cpu {v['server_cpu_us']:6.2f}")


def print_all(figures):
    print(f"\n{figures['system']}, {figures['machine']['processor']}, "
          f"{figures['machine']['cpus']} processors, Linux {figures['machine']['kernel']}; "
          f"{figures['rounds']} runs of {figures['seconds']:g} s for each, medians")
    print("Columns: value, ratio to the floor, least to most, latencies in us, the server's CPU "
          "time for each in us")
    if figures["missing_peers"]:
        print("Not installed, so not measured: " + ", ".join(figures["missing_peers"]))
    for row in figures["rows"]:
        _print_row(row)
    for title, key, unit in (("start to first answer", "start_ms", "ms"),
                             ("memory of an idle connection", "idle_bytes", "bytes")):
        for name, value in figures.get("single", {}).get(key, {}).items():
            print(f"{title}, {name}: {number(value)} {unit}")
    loop = figures.get("single", {}).get("loop_ms")
    if loop:
        on, off = loop.values()
        print(f"tight loop, limits on: {on / off:.3f} of the time without")
    for name, v in figures.get("single", {}).get("reload_ms", {}).items():
        print(f"reload with 1 000 connections, {name}: {v['median']:.3f} ms, worst {v['worst']:.3f}")
    for title, v in figures.get("limits", {}).items():
        print(f"cost of the limits, {title}: on {number(v['on'])}, off {number(v['off'])}, "
              f"ratio {v['on'] / v['off']:.3f}")
    if "workers" in figures:
        workers.print_all(figures["workers"])
    for title, counts in figures.get("instructions", {}).items():
        print(f"instructions, {title}: " + ", ".join(f"{n} {number(v)}" for n, v in counts.items()))


def write_json(figures, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=2)
        file.write("\n")


# Charts -------------------------------------------------------------------------

GNUPLOT = """set terminal svg size 1100,{height} font 'sans-serif,13' background 'white'
set output '{out}'
set title '{title}'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set yrange [0:*]
set grid ytics lc rgb '#dddddd'
set key outside right top
set xtics rotate by -25 scale 0
set ylabel '{ylabel}'
$data << END
{data}
END
plot for [i=2:{columns}] $data using i:xtic(1) title columnheader(i)
"""


def draw(figures, folder):
    """Each row as a share of the floor: throughput for those where more is
    better, time for the others."""
    os.makedirs(folder, exist_ok=True)
    for more, name, ylabel in ((True, "throughput", "messages/s, floor = 1"),
                               (False, "time", "time, floor = 1")):
        rows = [r for r in figures["rows"] if r["more_is_better"] == more]
        names = list(rows[0]["kinds"]) if rows else []
        names = [n for n in names if not n.startswith("floor")]
        if not names:
            continue
        lines = ["row " + " ".join(f'"{n}"' for n in names)]
        for row in rows:
            values = [row["kinds"].get(n, {}).get("ratio") for n in names]
            lines.append(f'"{row["title"]}" ' + " ".join(f"{v:.3f}" if v else "0" for v in values))
        out = os.path.join(folder, f"{figures['system']}-{name}.svg")
        script = GNUPLOT.format(height=560, out=out, title=f"{figures['system']}: {ylabel}",
                                ylabel=ylabel, data="\n".join(lines), columns=len(names) + 1)
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
