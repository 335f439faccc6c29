"""Times one PyTorch layer, kept heap, with the same input again and again or, with `--cold`, rotating over 800 MB of inputs.

    python benches/peers/torch_cold.py --peers FOLDER --layer KEY --pass backward --cold --serve

The layers and the timing are those of the folder's `torch_layers.py` and `bench_common.py`.
"""

import argparse
import sys

sys.path.insert(0, sys.argv[sys.argv.index("--peers") + 1])
sys.argv.append("--keep-heap")

import torch_layers as layers  # noqa: E402  (its first import sets the threads and the heap)
from bench_common import add_common_arguments, resident_mib, run_case  # noqa: E402

import torch  # noqa: E402

COLD = 800_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--pass", dest="direction", choices=["forward", "backward"], default="backward")
    parser.add_argument("--cold", action="store_true")
    add_common_arguments(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    layer = next(x for x in layers.LAYERS if x.key == args.layer)
    n, c, length = layer.shape
    count = -(-COLD // (4 * n * c * length)) if args.cold else 1
    module = layer.make().train()
    steps = [layers.make_step(module, layer, args.direction) for _ in range(count)]
    turn = 0

    def step():
        nonlocal turn
        turn = (turn + 1) % count
        return steps[turn]()

    case = {
        "peer": "torch-eager",
        "case": f"{args.direction}/{layer.key}/t{args.threads}",
        "layer": layer.key,
        "pass": args.direction,
        "threads": args.threads,
        "cold": args.cold,
    }
    run_case(case, step, args, resident_mib())


if __name__ == "__main__":
    main()
