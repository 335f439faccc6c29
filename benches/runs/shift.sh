#!/usr/bin/env bash
# The demo over the strength of the shift between its two machines: five shifts, three seeds, one command line each.
#
#   benches/runs/shift.sh OUT [CROSSRIG]
#
# OUT       folder of the runs; a run that is finished there is not done again
# CROSSRIG  the program (default: target/release/crossrig)
#
# Then `benches/runs/shift.py OUT` prints the table.
set -uo pipefail
out=$1
crossrig=${2:-target/release/crossrig}
mkdir -p "$out"

for seed in 0 1 2; do
  for shift in 0 0.25 0.5 0.75 1; do
    run="$out/shift-$shift-seed-$seed"
    [ -e "$run/control/metrics.json" ] && continue
    rm -rf "${run:?}"
    echo "== crossrig demo --shift $shift --seed $seed"
    "$crossrig" demo --shift "$shift" --seed "$seed" --out "$run" || echo "failed with exit code $?"
  done
done
