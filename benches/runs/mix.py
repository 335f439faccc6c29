#!/usr/bin/env python3
"""How methods do when a target shows only some of the classes: all, five, three and one of nine across loads, all, two and one of three
across bearings.

    CROSSRIG_DATA=DIR benches/runs/mix.py OUT [--crossrig PROGRAM] [--draws N] [--only TASK...] [--methods METHOD...]

OUT        folder; OUT/mix.jsonl gets a line a run, and runs that stand there are not done again
--methods  these (default: those without a network; `dann` trains one, and its twin that never saw the target)
--draws    random draws of each number of classes (default 5; the same for every method; one class: each in turn)

Then the table is printed: accuracy in percent over the target's scored windows, mean over draws and the worst of them.
"""
import argparse, collections, json, os, pathlib, random, shutil, subprocess, sys, tempfile, tomllib

HERE = pathlib.Path(__file__).resolve().parents[2]
LOADS = ["--split", "blocks", "--fractions", "0.5,0,0.5"]
WHOLE = ["--score", "all", "--fractions", "1,0,0"]
LOG = ["--method", "logistic", "--input", "log-spectrum", "--standardise"]
TASKS = {
    f"load{a}-load{b}": ("cwru", [f"load{a}"], f"load{b}", ["--classes", "!normal", *LOADS], [9, 5, 3, 1])
    for a, b in [(0, 3), (3, 0), (3, 1), (1, 2), (0, 1), (2, 3), (1, 3), (2, 0)]
} | {
    f"{a}-{b}": ("cwru-bearings", [f"{a}-end"], f"{b}-end", WHOLE, [3, 2, 1])
    for a, b in [("drive", "fan"), ("fan", "drive")]
}
METHODS = {
    "logistic, source": [*LOG, "source"],
    "logistic, own": [*LOG, "domain"],
    # across loads: the log-spectrum, with matched statistics
    "auto": ["--method", "logistic", "--input", "auto"],
    "rule": ["--method", "rule"],
    "dann": ["--input", "auto", "--epochs", "10", "--warmup-epochs", "3", "--threads", "2"],
}


# the tasks that the other records have; the rest served while the guard was developed
SCORED = ["load0-load3", "load3-load0", "load3-load1", "load1-load2", "drive-fan", "fan-drive"]


def subsets(classes, k, draws):
    """Each class by itself, or `draws` different draws of k classes."""
    if k == len(classes):
        return [tuple(classes)]
    if k == 1:
        return [(c,) for c in classes]
    rng, found = random.Random(k), []
    while len(found) < draws:
        draw = tuple(sorted(rng.sample(classes, k)))
        if draw not in found:
            found.append(draw)
        elif len(classes) == 3 and len(found) == 3:
            break
    return found


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--crossrig", default=str(HERE / "target/release/crossrig"))
    p.add_argument("--draws", type=int, default=5)
    p.add_argument("--only", nargs="*", default=SCORED)
    p.add_argument("--methods", nargs="*", default=[m for m in METHODS if m != "dann"])
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / "mix.jsonl"
    done = {}
    if log.exists():
        for line in log.read_text().splitlines():
            row = json.loads(line)
            done[row["task"], row["method"], tuple(row["present"])] = row
    for name in args.only:
        data, source, target, flags, counts = TASKS[name]
        manifest = tomllib.loads((HERE / f"datasets/{data}.toml").read_text())
        files = collections.defaultdict(list)
        for r in manifest["recording"]:
            if r["domain"] == target and r.get("class", "normal") != "normal":
                files[r["class"]].append(pathlib.PurePath(r["file"]).name)
        for k in counts:
            for present in subsets(sorted(files), k, args.draws):
                for method in args.methods:
                    own = METHODS[method]
                    if (name, method, present) in done or (method == "rule" and data == "cwru"):
                        continue
                    out = pathlib.Path(tempfile.mkdtemp())
                    command = [args.crossrig, "train", "--data", f"{HERE}/datasets/{data}.toml", "--source", *source, "--target", target,
                               "--target-recordings", ",".join(f for c in present for f in files[c]), *flags, *own]
                    command += [] if method == "dann" else ["--threads", "1"]
                    run = subprocess.run([*command, "--out", str(out / "run")], capture_output=True, text=True)
                    if run.returncode:
                        sys.exit(f"{' '.join(command)}\n{run.stderr}")
                    m = json.loads((out / "run/metrics.json").read_text())
                    shutil.rmtree(out)
                    b = m["baselines"]
                    mix = (m["class_mix"] or [{}])[0]
                    network = method == "dann"
                    scores = m["adapted"]["last"] if network else b["rule-source" if method == "rule" else "logistic"]
                    row = {
                        "task": name, "method": method, "present": present, "accuracy": scores["accuracy"],
                        **({"source_only": m["source_only"]["last"]["accuracy"]} if network else {}),
                        "rms_kurtosis": b["rms-kurtosis-centroid"]["accuracy"], "matched": mix.get("matched"), "differs": mix.get("differs"),
                        "statistics": mix.get("statistics"), "input": m["config"]["signal"]["input"], "recommended": (m["recommended"] or {}).get("which"),
                    }
                    done[name, method, present] = row
                    with log.open("a") as f:
                        f.write(json.dumps(row) + "\n")
    table(done.values())


def table(rows):
    groups = collections.defaultdict(list)
    for r in rows:
        group = "loads" if r["task"].startswith("load") else r["task"]
        groups[group, len(r["present"]), r["method"]].append(r["accuracy"])
        if r["method"] == "dann":
            groups[group, len(r["present"]), "its twin, source-only"].append(r["source_only"])
        if r["method"] == "logistic, own":
            groups[group, len(r["present"]), "RMS + kurtosis, own"].append(r["rms_kurtosis"])
    print("| task | classes present | method | runs | mean | worst |\n|---|---|---|---|---|---|")
    for (group, k, method), values in sorted(groups.items(), key=lambda g: (g[0][0], -g[0][1], g[0][2])):
        print(f"| {group} | {k} | {method} | {len(values)} | {100 * sum(values) / len(values):.1f} | {100 * min(values):.1f} |")


if __name__ == "__main__":
    main()
