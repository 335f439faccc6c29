#!/usr/bin/env python3
"""Prints a Markdown table of the metrics.json files of finished runs: summarise.py FOLDER..."""

import json
import pathlib
import sys

METHODS = ["adapted", "source_only", "log-spectrum-logistic", "rms-kurtosis-centroid", "majority-class"]


def accuracy(metrics, method):
    if method in ("adapted", "source_only"):
        scores = metrics[method] and metrics[method]["last"]
    else:
        scores = metrics["baselines"].get(method)
    return f"{100 * scores['accuracy']:.1f}" if scores and scores["accuracy"] is not None else "-"


print("| run | split | DANN | source-only | " + " | ".join(METHODS[2:]) + " | domain accuracy | A-distance (source-only) | seconds |")
print("|---" * (len(METHODS) + 5) + "|")
for folder in sys.argv[1:]:
    file = pathlib.Path(folder) / "metrics.json" if pathlib.Path(folder).is_dir() else pathlib.Path(folder)
    m = json.loads(file.read_text())
    name = file.parent.name if file.name == "metrics.json" else file.stem
    cells = [accuracy(m, method) for method in METHODS]
    domain = f"{100 * m['domain_accuracy']['value']:.1f}" if m["domain_accuracy"] else "-"
    distance = f"{m['a_distance']:.2f} ({m['a_distance_source_only']:.2f})" if m["a_distance_source_only"] else "-"
    print(f"| {name} | {m['split']} | " + " | ".join(cells) + f" | {domain} | {distance} | {m['seconds']['total']:.0f} |")
