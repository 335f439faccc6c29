#!/usr/bin/env bash
# Two extractors x two inputs x two splits x four transfers across the loads of CWRU, nine conditions, by seeds.
#
#   CROSSRIG_DATA=DIR benches/runs/matrix.sh OUT [CROSSRIG] [SEED...]
#
# OUT       folder of the runs; a run that is finished there is not done again
# CROSSRIG  the program (default: target/release/crossrig)
# SEED      these seeds (default: 0 1 2)
#
# Written down before any of these runs: everything is the program's default but what stands here (30 epochs of which 10 on source rows alone,
# the last one counts); nothing is chosen by a score. Split windows (leaky: windows of one recording on both sides of it) 0.8 / 0 / 0.2, as public
# figures of these recordings were made; split blocks 0.6 / 0.2 / 0.2, a window apart. benches/runs/matrix.py OUT prints the table.
set -uo pipefail
out=$1
crossrig=${2:-target/release/crossrig}
shift $(($# > 2 ? 2 : $#))
[ $# -gt 0 ] || set -- 0 1 2
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"

for seed in "$@"; do
  for extractor in light-cnn seresnext26-small; do
    for input in log-spectrum raw; do
      for split in blocks windows; do
        for task in "3 0" "0 3" "3 1" "1 2"; do
          read -r source target <<<"$task"
          name=$extractor-$input-$split-$source-$target-s$seed
          [ -e "$out/$name/metrics.json" ] && continue
          rm -rf "${out:?}/$name"
          echo "== $name"
          fractions=0.6,0.2,0.2
          [ "$split" = blocks ] || fractions=0.8,0,0.2
          "$crossrig" train --data "$here/datasets/cwru.toml" --source "load$source" --target "load$target" --classes '!normal' \
            --target-recordings '!97*,!98*,!99*,!100*' --extractor "$extractor" --input "$input" --split "$split" --fractions "$fractions" \
            --seed "$seed" --out "$out/$name" || echo "$name failed with exit code $?"
        done
      done
    done
  done
done
