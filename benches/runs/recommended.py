#!/usr/bin/env python3
"""How often the model that `crossrig train` recommends without target labels was the best one, or near it.

    benches/runs/recommended.py FOLDER...      folders with runs' metrics.json, at any depth

Every method of a run is scored by macro-F1 on the same windows (pieces of 1 s where the run has them). A method counts as right where it is at most
two points below the best of the run. `always X` is what one would have had with the same method in every run that has it.
"""
import collections, json, pathlib, sys

NAMES = {"adapted": "adapted", "source_only": "source-only"}


def scores(run):
    """Macro-F1 of every method of a run."""
    pieces = run.get("pieces")
    if pieces:
        return {name: s["macro_f1"] for name, s in pieces["methods"].items()}
    found = {name: run[key]["last"]["macro_f1"] for key, name in NAMES.items() if run.get(key)}
    found |= {name: s["macro_f1"] for name, s in (run.get("baselines") or {}).items()}
    return found


def main():
    rows = []
    for folder in sys.argv[1:]:
        for path in sorted(pathlib.Path(folder).rglob("*.json")):
            try:
                run = json.loads(path.read_text())
            except ValueError:
                continue
            if not (isinstance(run, dict) and run.get("recommended")):
                continue
            every = {name: score for name, score in scores(run).items() if score is not None}
            which = run["recommended"]["which"]
            if which in every and len(every) > 1:
                rows.append((path, which, run["recommended"]["rule"], every))
    if not rows:
        sys.exit("no run with a recommendation and target labels in there")
    table = collections.defaultdict(list)
    for path, which, rule, every in rows:
        best = max(every, key=every.get)
        lost = every[best] - every[which]
        print(f"{path.parent.name or path.stem}: {which} {100 * every[which]:.1f}, best {best} {100 * every[best]:.1f} ({rule})")
        table["recommended"].append(lost)
        for name, score in every.items():
            table[f"always {name}"].append(every[best] - score)
    print("\n| | runs | best, or at most 2 points below | points below the best, mean | worst |\n|---|---|---|---|---|")
    for name, lost in table.items():
        right = sum(x <= 0.02 for x in lost)
        print(f"| {name} | {len(lost)} | {right} | {100 * sum(lost) / len(lost):.1f} | {100 * max(lost):.1f} |")


main()
