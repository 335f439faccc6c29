#!/usr/bin/env python3
"""Prints Markdown tables of the runs of shift.sh: shift.py FOLDER"""

import json
import pathlib
import statistics
import sys

SIMPLE = ["log-spectrum-logistic", "rms-kurtosis-centroid"]


def scores(file):
    m = json.loads(file.read_text())
    row = {"DANN": m["adapted"]["last"], "source-only": m["source_only"]["last"]}
    row |= {name: m["baselines"][name] for name in SIMPLE}
    return {name: 100 * s["macro_f1"] for name, s in row.items()} | {"seconds": m["seconds"]["total"]}


def cell(values):
    """Mean, and every value."""
    return f"{statistics.mean(values):.1f} ({', '.join(f'{v:.1f}' for v in values)})"


runs = {}
for folder in sorted(pathlib.Path(sys.argv[1]).glob("shift-*-seed-*")):
    _, shift, _, seed = folder.name.split("-")
    runs.setdefault(("shift", float(shift)), {})[int(seed)] = scores(folder / "metrics.json")
    # the control of every shift is the same transfer: other bearings of the source's own machine
    runs.setdefault(("control", 0.0), {})[int(seed)] = scores(folder / "control" / "metrics.json")

names = ["source-only", "DANN", *SIMPLE]
print("| transfer | " + " | ".join(names) + " | DANN - source-only |")
print("|---" * (len(names) + 2) + "|")
for (kind, shift), by_seed in sorted(runs.items()):
    seeds = [by_seed[s] for s in sorted(by_seed)]
    label = "no-shift control" if kind == "control" else f"shift {shift:g}"
    gain = cell([s["DANN"] - s["source-only"] for s in seeds])
    print(f"| {label} | " + " | ".join(cell([s[n] for s in seeds]) for n in names) + f" | {gain} |")
