#!/usr/bin/env python3
"""Prints the table of the runs of bearings.sh and writes what it was made of: bearings.py FOLDER [RECORD.json].

Macro-F1 in percent over pieces of 1 s; mean over seeds, standard deviation and number of runs where there are several. Runs of `defect-families` are
not among them.
"""
import collections, json, pathlib, re, statistics, sys

METHODS = ["adapted", "source-only", "log-spectrum-logistic", "rms-kurtosis-centroid", "majority-class", "rule-source", "rule-fixed"]


def record(folder, run):
    command = ["crossrig"] + run["command"].split()[1:]
    command = [re.sub(r".*/datasets/", "datasets/", word) for word in command]
    command = ["OUT/" + folder.name if word.endswith("/" + folder.name) else word for word in command]
    methods = run["pieces"]["methods"]
    of_all = lambda key: {name: round(s[key], 5) for name, s in sorted(methods.items())}
    found = {
        "run": folder.name,
        "command": " ".join(command),
        "seconds": run["seconds"],
        "class_mix": run["class_mix"],
        "recommended": run["recommended"]["which"],
        **{key: of_all(key) for key in ("macro_f1", "accuracy", "macro_f1_by_recording")},
    }
    for path in sorted(folder.glob("mfpt-*.json")):
        scores = json.loads(path.read_text())
        found[path.stem.replace("-", "_")] = scores | {"model": pathlib.PurePath(scores["model"]).name}
    return found


def main():
    runs = []
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*/metrics.json")):
        if "-families-" not in path.parent.name and "-residual-" not in path.parent.name:
            runs.append(record(path.parent, json.loads(path.read_text())))
    cells, inputs = collections.defaultdict(list), set()
    for run in runs:
        task, used = re.fullmatch(r"(.*)-(raw|log-spectrum)(?:-s\d+)?", run["run"]).groups()
        inputs.add((task, used))
        for method, score in run["macro_f1"].items():
            cells[task, used, method].append(100 * score)
    print("| task | input | runs | " + " | ".join(METHODS) + " |")
    print("|---" * (3 + len(METHODS)) + "|")
    for task, used in sorted(inputs):
        row = [cells[task, used, method] for method in METHODS]
        shown = [f"{statistics.mean(c):.1f}" + (f" ({statistics.stdev(c):.1f})" if len(c) > 1 and max(c) > min(c) else "") for c in row]
        print(f"| {task} | {used} | {len(row[0])} | " + " | ".join(shown) + " |")
    right = sum(run["macro_f1"][run["recommended"]] >= max(run["macro_f1"].values()) - 0.02 for run in runs)
    lost = [100 * (max(run["macro_f1"].values()) - run["macro_f1"][run["recommended"]]) for run in runs]
    print(f"\nrecommended: at most 2 points below the best in {right} of {len(runs)}; {statistics.mean(lost):.1f} points below it in the mean, {max(lost):.1f} at worst")
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2]).write_text(json.dumps(runs, indent=0, ensure_ascii=False) + "\n")


main()
