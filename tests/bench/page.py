#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the figures of whole runs into docs/performance.md, between its two
marks, and their charts into docs/charts/.

    python3 tests/bench/page.py [RESULT.json…]

Without arguments: build/linux/bench.json and build/windows/bench.json, which
`./build.sh bench` has written.
"""

import argparse
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import report  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "performance.md")
CHARTS = os.path.join(ROOT, "docs", "charts")
BEGIN = "<!-- figures: written by tests/bench/page.py -->"
END = "<!-- end of figures -->"
BUSY = 0.75  # runnable processes for each processor before the run: not quiet
TITLES = {"linux": "Linux", "windows": "Windows (Wine)"}


def number(value, digits=2):
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.{digits}f}"


def table(header, rows):
    lines = [header, ["---"] + ["--:"] * (len(header) - 1)] + rows
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# The machine --------------------------------------------------------------------


def machine(figures):
    m = figures["machine"]
    load = m.get("load_before", 0) / m["cpus"]
    state = (f"**Other work was running on this machine** ({load:.1f} processes for each processor when the run "
             "began): the ratios are worse than on a quiet one." if load > BUSY else "The machine was quiet.")
    return (f"{m['processor']}, {m['cpus']} processors, {m.get('system', 'Linux')}, kernel {m['kernel']}"
            + (f", {m['wine']}" if m.get("wine") else "")
            + f"; {figures.get('date', '')}. Each figure is the median of {figures['rounds']} runs of "
            f"{figures['seconds']:g} s; the whole took {figures.get('took_s', 0):.0f} s. {state}")


# What is to be reached ------------------------------------------------------------


def goal(what, ours, bound, reached):
    return [what, ours, bound, "yes" if reached else "no"]


def row_goals(figures):
    for row in figures["rows"]:
        if not row["target"]:
            continue
        more = row["more_is_better"]
        ratio = row["kinds"]["pipehost"]["ratio"]
        yield goal(f"{row['title']}, floor = 1", f"{ratio:.3f}",
                   f"{'≥' if more else '≤'} {row['target']:.2f}", row["reached"])


def at_most(what, value, most, unit, digits=0):
    return goal(what, number(value, digits) + unit, f"≤ {number(most, digits)}{unit}", value <= most)


def single_goals(figures):
    single, counts = figures.get("single", {}), figures.get("instructions", {})
    idle, start = single.get("idle_bytes", {}), single.get("start_ms", {})
    if idle:
        yield at_most("memory of an idle connection, `on_message`", idle["pipehost"], 512, " bytes")
        yield at_most("the same, `session`", idle["pipehost (session)"], 2048, " bytes")
    if counts:
        yield at_most("instructions for one echoed message", counts["one echoed message"]["pipehost"], 2500, "")
    if single.get("loop_ms"):
        on, off = single["loop_ms"].values()
        yield at_most("tight loop with limits, without = 1", on / off, 1.05, "", 3)
    if figures["system"] == "linux" and start:
        yield at_most("`--version` to exit", start["--version"], 3, " ms", 1)
        yield at_most("`serve` to first answer", start["pipehost"], 10, " ms", 1)
    if single.get("reload_ms"):
        worst = single["reload_ms"]["commit"]["worst"]
        yield at_most("commit of a reload with 1 000 clients, the longest of 20", worst, 20, " ms")


# All rows -------------------------------------------------------------------------


def names_of(figures):
    names = []
    for row in figures["rows"]:
        names += [n for n in row["kinds"] if n not in names]
    return names


def all_rows(figures):
    """Every server's value, as a share of its floor; and the CPU time of floor and
    pipehost for each message."""
    names = names_of(figures)
    header = ["", "floor"] + [n for n in names if not n.startswith("floor")] + ["CPU µs: floor", "pipehost"]
    rows = []
    for row in figures["rows"]:
        kinds = row["kinds"]
        unit = row["unit"].replace("us", "µs")
        rate = f", {number(row['rate'])} msg/s" if "rate" in row else ""
        line = [row["title"].replace("messages/s, ", "") + rate, f"{number(kinds['floor']['value'])} {unit}"]
        line += [f"{kinds[n]['ratio']:.2f}" if n in kinds else "–" for n in names if not n.startswith("floor")]
        line += [f"{kinds[n]['server_cpu_us']:.2f}" for n in ("floor", "pipehost")]
        rows.append(line)
    return table(header, rows)


def latencies(figures):
    rows = []
    for row in figures["rows"]:
        if row["unit"] == "msg/s" and not row["title"].endswith("64 connections"):
            continue
        for name in ("floor", "pipehost", report.best_peer(row)):
            if name in row["kinds"]:
                v = row["kinds"][name]
                rows.append([row["title"], name] + [number(v[k], 1) for k in ("p50_us", "p99_us", "p999_us")])
    return table(["", "server", "p50 µs", "p99 µs", "p99.9 µs"], rows)


def peers_ahead(figures):
    """The rows in which a peer is ahead of pipehost on the same kind of socket."""
    found = []
    for row in figures["rows"]:
        best = report.best_peer(row)
        ours = row["kinds"].get("pipehost (stream)") or row["kinds"]["pipehost"]
        if not best:
            continue
        peer = row["kinds"][best]
        ahead = peer["value"] > ours["value"] if row["more_is_better"] else peer["value"] < ours["value"]
        if ahead:
            found.append(f"{row['title']}: {best} {peer['ratio']:.2f}, pipehost {ours['ratio']:.2f}")
    if not found:
        return "No peer was ahead of pipehost in any row."
    return "A peer was ahead of pipehost, both on streams, in:\n\n" + "\n".join("- " + line for line in found)


def small_figures(figures):
    single = figures.get("single", {})
    rows = [[f"start to first answer, {n}" if n != "--version" else "`--version` to exit", f"{v:.1f} ms"]
            for n, v in single.get("start_ms", {}).items()]
    rows += [[f"memory of an idle connection, {n}", f"{number(v, 0)} bytes"]
             for n, v in single.get("idle_bytes", {}).items()]
    rows += [[f"instructions, {title}, {n}", number(v, 0)]
             for title, counts in figures.get("instructions", {}).items() for n, v in counts.items()]
    rows += [[f"reload with 1 000 clients, {n}", f"{v['median']:.3f} ms, at most {v['worst']:.1f} ms"]
             for n, v in single.get("reload_ms", {}).items()]
    return table(["", ""], rows)


# The page -------------------------------------------------------------------------


def charts(figures):
    report.draw(figures, CHARTS)
    system = figures["system"]
    names = [n for n in ("throughput", "time") if os.path.exists(os.path.join(CHARTS, f"{system}-{n}.svg"))]
    return "\n\n".join(f"![{TITLES[system]}: {n} of each server, as a share of the floor]"
                       f"(charts/{system}-{n}.svg)" for n in names)


def section(figures):
    missing = figures.get("missing_peers")
    parts = [f"### {TITLES[figures['system']]}", machine(figures)]
    if missing:
        parts.append("Not installed there, so not measured: " + ", ".join(missing) + ".")
    parts.append(table(["To be reached", "pipehost", "bound", "reached"],
                       [*row_goals(figures), *single_goals(figures)]))
    parts.append("All rows. The floor in its own unit, the others as a share of it: of messages per second, where more is "
                 "better, or of time (µs), where less is. Those on streams, peers among them, are compared with a floor "
                 "on streams." if figures["system"] == "linux" else
                 "All rows: the floor in its own unit, pipehost as a share of it.")
    parts += [all_rows(figures), charts(figures), latencies(figures)]
    if figures["system"] == "linux":
        parts.append(peers_ahead(figures))
    parts.append(small_figures(figures))
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description="Writes the figures in docs/performance.md.")
    parser.add_argument("results", nargs="*", metavar="RESULT.json")
    files = parser.parse_args().results or [
        os.path.join(ROOT, "build", system, "bench.json") for system in ("linux", "windows")]
    sections = []
    for file in files:
        with open(file, encoding="utf-8") as text:
            sections.append(section(json.load(text)))
    with open(PAGE, encoding="utf-8") as text:
        page = text.read()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"page.py: {PAGE} has no place for them: {BEGIN} … {END}")
    with open(PAGE, "w", encoding="utf-8") as text:
        text.write(before + BEGIN + "\n\n" + "\n\n".join(sections) + "\n\n" + END + after)


if __name__ == "__main__":
    main()
