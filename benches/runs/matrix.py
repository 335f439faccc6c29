#!/usr/bin/env python3
"""Prints the table of the runs of matrix.sh, whole or unfinished: matrix.py FOLDER. Accuracy in percent, mean over seeds."""
import collections, json, pathlib, statistics, sys

TASKS = ["3-0", "0-3", "3-1", "1-2"]
METHODS = {"DANN": "adapted", "source-only": "source_only", "logistic, log-spectrum": "log-spectrum-logistic", "RMS + kurtosis": "rms-kurtosis-centroid"}

cells, seeds = collections.defaultdict(list), collections.defaultdict(set)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*/metrics.json")):
    extractor_input_split, source, target, seed = path.parent.name.rsplit("-", 3)
    run = json.loads(path.read_text())
    seeds[extractor_input_split].add(seed)
    for method, key in METHODS.items():
        scores = run[key]["last"] if key in run else run["baselines"][key]
        cells[extractor_input_split, method, f"{source}-{target}"].append(100 * scores["accuracy"])

print("| extractor, input, split | method | runs | " + " | ".join(f"load {t.replace('-', ' -> ')}" for t in TASKS) + " | mean |")
print("|---" * (4 + len(TASKS)) + "|")
for row in sorted(seeds):
    for method in METHODS:
        found = [cells[row, method, task] for task in TASKS]
        means = [statistics.mean(f) if f else None for f in found]
        spread = [f" ({statistics.stdev(f):.1f})" if len(f) > 1 else "" for f in found]
        whole = f"**{statistics.mean(means):.1f}**" if None not in means else "-"
        shown = ["-" if m is None else f"{m:.1f}{s}" for m, s in zip(means, spread)]
        print(f"| {row} | {method} | {sum(map(len, found))} | " + " | ".join(shown) + f" | {whole} |")
