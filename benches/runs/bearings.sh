#!/usr/bin/env bash
# Networks across bearings and across fault instances: raw windows and log-spectra, DANN with its source-only twin, beside the
# baselines; scored on pieces of 1 s of every recording of the target, as benches/runs/2026-11-26-2core-avx512/physics.md scores the rules.
#
#   CROSSRIG_DATA=DIR benches/runs/bearings.sh OUT [CROSSRIG] [NAME...]
#
# OUT       folder of the runs; a run that is finished there is not done again
# CROSSRIG  the program (default: target/release/crossrig)
# NAME      only these runs
#
# Everything is the program's default but what stands here; five seeds across bearings, three across instances; nothing is chosen by a score.
set -uo pipefail
out=$1
crossrig=${2:-target/release/crossrig}
shift $(($# > 2 ? 2 : $#))
only=" $* "
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"

run() { # NAME MANIFEST SOURCES TARGET FLAGS...
  local name=$1 manifest=$2 sources=$3 target=$4
  shift 4
  case "$only" in "  " | *" $name "*) ;; *) return ;; esac
  [ -e "$out/$name/metrics.json" ] && return
  rm -rf "${out:?}/$name"
  echo "== $name"
  # shellcheck disable=SC2086 # two sources are two words
  "$crossrig" train --data "$here/datasets/$manifest.toml" --source $sources --target "$target" --score all --fractions 1,0,0 \
    --out "$out/$name" "$@" || echo "$name failed with exit code $?"
}

for seed in 0 1 2 3 4; do
  for input in raw log-spectrum; do
    run "drive-fan-$input-s$seed" cwru-bearings drive-end fan-end --input "$input" --seed "$seed"
    run "fan-drive-$input-s$seed" cwru-bearings fan-end drive-end --input "$input" --seed "$seed"
  done
done
for seed in 0 1 2; do
  for input in raw log-spectrum; do
    run "to-007-$input-s$seed" cwru-instances "size-014 size-021" size-007 --input "$input" --seed "$seed"
    run "to-014-$input-s$seed" cwru-instances "size-007 size-021" size-014 --input "$input" --seed "$seed"
    run "to-021-$input-s$seed" cwru-instances "size-007 size-014" size-021 --input "$input" --seed "$seed"
  done
done
