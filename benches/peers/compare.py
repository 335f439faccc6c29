"""Pairs this project's programs with PyTorch, ONNX Runtime and OpenVINO, turn by turn, and prints a table of ratios.

    python benches/peers/compare.py --peers FOLDER --python VENV/bin/python --out benches/runs/DATE-MACHINE

`--peers` (or the variable CROSSRIG_PEERS) is the folder of the opponents' scripts (`torch_bench.py`, `torch_layers.py`,
`ort_bench.py`), `--python` the interpreter that has their packages. Ours is built before:
`cargo build --release -p benches --bins`.

All programs of a case live at the same time and take turns of one timed run, in an order that rotates: what slows the
machine down for a while slows all of them. Each is pinned to the same cores, has as many threads as cores, and keeps its
heap (PyTorch by `--keep-heap`, ours by its allocator) but for `torch-plain`, which is PyTorch as it comes. A ratio is the
opponent's median time over ours: above 1, ours is faster. `best` is the fastest opponent, and what `ratios.json` holds; its
`rss` is plain PyTorch's peak memory over ours.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# as the opponents' scripts name them
NETWORKS = {
    "A": "seresnext50",
    "B": "seed-seresnext50",
    "C": "light-cnn",
    "D": "seresnext26-small",
    "E": "resnet18-1d",
}
LETTERS = "".join(NETWORKS)
GROUPS = ["train_step", "dann_step", "inference_1", "inference_64", "layers"]
# of inference, as the opponents' script names them
ENGINES = ["onnxruntime", "openvino"]
LAYERS = [
    "grouped-k3-g32-c128-l256",
    "grouped-k3-g32-c256-l128",
    "grouped-k3-g32-c512-l64",
    "grouped-k3-g32-c1024-l32",
    "dense-k3-c64-l256",
    "pointwise-c256-c128-l256",
    "bn-relu-c256-l256",
    "maxpool-k2s2-c32-l1008",
]


class Program:
    """A process that times runs on request."""

    def __init__(self, command: list[str], environment: dict[str, str], cores: str) -> None:
        self.command = command
        pinned = ["taskset", "-c", cores, *command]
        env = {**os.environ, **environment}
        self.process = subprocess.Popen(
            pinned, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=environment.get("CWD")
        )
        self.read("ready")

    def pin(self, cores: list[int]) -> None:
        """Holds the threads that work in a run each to a core of its own."""
        tasks = list(pathlib.Path(f"/proc/{self.process.pid}/task").iterdir())

        def worked() -> list[int]:
            return [int((task / "schedstat").read_text().split()[0]) for task in tasks]

        before = worked()
        for _ in range(3):
            self.run()
        by_work = sorted(zip(before, worked(), tasks), key=lambda times: times[0] - times[1])
        for core, (_, _, task) in zip(cores, by_work):
            os.sched_setaffinity(int(task.name), {core})

    def read(self, event: str) -> dict:
        for line in self.process.stdout:
            if line.startswith("{"):
                message = json.loads(line)
                if message.get("event") == event:
                    return message
        raise RuntimeError(f"ended before its {event!r} line: {' '.join(self.command)}")

    def run(self) -> float:
        self.process.stdin.write("1\n")
        self.process.stdin.flush()
        return self.read("times")["times_ms"][0]

    def finish(self) -> dict:
        self.process.stdin.close()
        result = self.read("result")
        self.process.wait()
        return result


def programs(args, case: dict) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Command and environment of each side of a case."""
    threads = ["--threads", str(args.threads), "--serve"]
    ours_environment = {"RAYON_NUM_THREADS": str(args.threads)}
    peers = pathlib.Path(args.peers)
    python = args.python

    def torch(script: str, *more: str) -> tuple[list[str], dict[str, str]]:
        return [python, str(peers / script), *what, *threads, *more], {"CWD": str(peers)}

    if case["kind"] == "layers":
        what = ["--layer", case["layer"], "--pass", "backward"]
        cold = ["--cold"] if args.cold else []
        ours = [str(args.bin / "layers"), *what, *threads, *cold]
        here = pathlib.Path(__file__).with_name("torch_cold.py")
        opponent = [python, str(here), "--peers", str(peers), *what, *threads, *cold]
        return {"ours": (ours, ours_environment), "torch": (opponent, {})}
    what = ["--network", case["network"], "--mode", case["mode"]]
    if "batch" in case:
        what += ["--batch", str(case["batch"])]
    sides = {"ours": ([str(args.bin / "networks"), *what, *threads], ours_environment)}
    best = ("--layout", "channels-last", "--keep-heap")
    if case["mode"] == "infer":
        sides["torch"] = torch("torch_bench.py", *best)
        if args.compile:
            sides["torch-compile"] = torch("torch_bench.py", *best, "--backend", "compile")
        if args.onnx:
            models = ["--models", args.onnx]
            rows = ["--network", case["network"], "--batch", str(case["batch"])]
            for engine in ENGINES:
                command = [python, str(peers / "ort_bench.py"), *rows, *models, *threads, "--engine", engine]
                sides[engine] = (command, {"CWD": str(peers)})
    else:
        sides["torch-plain"] = torch("torch_bench.py")
        sides["torch"] = torch("torch_bench.py", *best)
        if args.compile:
            sides["torch-compile"] = torch("torch_bench.py", *best, "--backend", "compile")
    return sides


def measure(args, case: dict) -> dict:
    running = {}
    for name, (command, environment) in programs(args, case).items():
        running[name] = Program(command, environment, args.cores)
        if args.pin:
            running[name].pin([int(core) for core in args.cores.split(",")])
    names = list(running)
    times: dict[str, list[float]] = {name: [] for name in names}
    for index in range(args.rounds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(args.pause)  # the others' threads stop spinning
            times[name].append(running[name].run())
    results = {name: program.finish() for name, program in running.items()}
    median = {name: statistics.median(values) for name, values in times.items()}
    ratio = {name: median[name] / median["ours"] for name in names if name != "ours"}
    return {
        **case,
        "median_ms": median,
        "min_ms": {name: min(values) for name, values in times.items()},
        "ratio": ratio,
        "best": min(ratio.values()),
        "peak_rss_mib": {name: result["peak_rss_mib"] for name, result in results.items()},
        "times_ms": times,
    }


def export(args) -> None:
    """Writes the ONNX models that inference needs and the folder lacks."""
    for group in args.groups:
        batch = group.removeprefix("inference_")
        for letter in args.letters if batch != group else "":
            if (pathlib.Path(args.onnx) / f"{NETWORKS[letter]}-n{batch}.onnx").exists():
                continue
            command = [args.python, "export_onnx.py", "--network", letter, "--batch", batch, "--out", args.onnx]
            if subprocess.run(command, cwd=args.peers, stdout=sys.stderr).returncode != 0:
                sys.exit(f"no ONNX model of {letter}: {args.python} needs the opponents' requirements.txt, or leave --onnx out")


def cases(groups: list[str], letters: str) -> list[dict]:
    found = []
    for letter in letters:
        found.append({"kind": "train_step", "key": letter, "network": letter, "mode": "train"})
        found.append({"kind": "dann_step", "key": letter, "network": letter, "mode": "dann"})
        for batch in (1, 64):
            key = {"kind": f"inference_{batch}", "key": letter}
            found.append({**key, "network": letter, "mode": "infer", "batch": batch})
    found += [{"kind": "layers", "key": layer, "layer": layer} for layer in LAYERS]
    return [case for case in found if case["kind"] in groups]


def line(row: dict) -> str:
    ours, opponents = row["median_ms"]["ours"], row["ratio"]
    cells = ", ".join(f"{name} {row['median_ms'][name]:.2f} ({opponents[name]:.2f}x)" for name in opponents)
    rss = ", ".join(f"{name} {mib:.0f}" for name, mib in row["peak_rss_mib"].items())
    return f"| {row['kind']} | {row['key']} | {ours:.2f} | {cells} | {row['best']:.2f} | {rss} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=os.environ.get("CROSSRIG_PEERS"), help="folder of the opponents' scripts")
    parser.add_argument("--python", default=sys.executable, help="interpreter with the opponents' packages")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target" / "release", help="folder of our programs")
    parser.add_argument("--out", type=pathlib.Path, help="folder for ratios.json, table.md and all times")
    parser.add_argument("--groups", nargs="+", default=GROUPS, choices=GROUPS)
    parser.add_argument("--networks", nargs="+", default=[LETTERS], help="letters, together or apart")
    parser.add_argument("--rounds", "--repeats", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cores", default="0,1", help="cores to pin to, with commas between")
    parser.add_argument("--pin", action="store_true", help="the threads of each program that work, each to a core of its own")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between turns")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well, which takes minutes to start")
    parser.add_argument("--onnx", help="folder for export_onnx.py's models, made if missing: ONNX Runtime and OpenVINO in inference")
    parser.add_argument("--cold", action="store_true", help="layers rotate over 800 MB of buffers")
    args = parser.parse_args()
    if not args.peers:
        parser.error("--peers or CROSSRIG_PEERS: where are the opponents' scripts?")
    args.letters = "".join(args.networks)
    if not set(args.letters) <= set(LETTERS):
        parser.error(f"--networks: letters of {LETTERS}, not {args.letters}")
    if args.onnx:
        args.onnx = str(pathlib.Path(args.onnx).resolve())
        export(args)

    rows = []
    table = ["| group | case | ours, ms | opponents, ms (ratio) | best | peak MiB |", "|---|---|---:|---|---:|---|"]
    print("\n".join(table), flush=True)
    for case in cases(args.groups, args.letters):
        try:
            rows.append(measure(args, case))
        except (RuntimeError, OSError) as error:
            print(f"| {case['kind']} | {case['key']} | {error} | | | |", flush=True)
            continue
        table.append(line(rows[-1]))
        print(table[-1], flush=True)
    if not args.out:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    ratios: dict[str, dict[str, float]] = {}
    for row in rows:
        ratios.setdefault(row["kind"], {})[row["key"]] = round(row["best"], 3)
        plain = row["peak_rss_mib"].get("torch-plain")
        if plain and row["kind"] == "train_step":
            ours = row["peak_rss_mib"]["ours"]
            ratios.setdefault("rss", {})[row["key"]] = round(plain / ours, 3)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    command = " ".join(["compare.py", *sys.argv[1:]])
    machine = f"{os.cpu_count()} cores, {args.threads} threads, load at the end {load}"
    (args.out / "ratios.json").write_text(json.dumps(ratios, indent=1) + "\n")
    (args.out / "times.json").write_text(json.dumps({"command": command, "machine": machine, "rows": rows}) + "\n")
    (args.out / "table.md").write_text(f"`{command}`; {machine}\n\n" + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
