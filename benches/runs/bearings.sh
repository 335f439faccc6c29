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
# Written down before any of these runs: everything is the program's default but what stands here; 10 epochs of which 3 on source rows alone (for
# time: 30 would take a day); five seeds across bearings, three across instances, one on HIT-SM, where recordings are scaled as wholes because their
# gains differ by class; nothing is chosen by a score. The models of the drive end and of the fan end are scored once on MFPT.
set -uo pipefail
out=$1
crossrig=${2:-target/release/crossrig}
shift $(($# > 2 ? 2 : $#))
only=" $* "
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"

run() { # NAME MANIFEST SOURCES TARGETS FLAGS...
  local name=$1 manifest=$2 sources=$3 targets=$4
  shift 4
  case "$only" in "  " | *" $name "*) ;; *) return ;; esac
  [ -e "$out/$name/metrics.json" ] && return
  rm -rf "${out:?}/$name"
  echo "== $name"
  # shellcheck disable=SC2086 # two domains are two words
  "$crossrig" train --data "$here/datasets/$manifest.toml" --source $sources --target $targets --score all --fractions 1,0,0 \
    --out "$out/$name" "$@" || echo "$name failed with exit code $?"
}

mfpt() { # NAME STATISTICS
  for model in model source_only; do
    [ -e "$out/$1/$model.safetensors" ] && [ ! -e "$out/$1/mfpt-$model.json" ] || continue
    "$crossrig" evaluate --model "$out/$1/$model.safetensors" --data "$here/datasets/mfpt.toml" --domain load-0 load-25 load-300 \
      --statistics "$2" --json \
      >"$out/$1/mfpt-$model.json" || echo "$1 on MFPT failed with exit code $?"
  done
}

short=(--epochs 10 --warmup-epochs 3)

# the extractor that treats the families of defect frequencies alike: the program's 30 epochs, a few hundred windows
for seed in 0 1 2 3 4; do
  for task in "drive-fan cwru-bearings drive-end fan-end" "fan-drive cwru-bearings fan-end drive-end" \
    "to-007 cwru-instances size-014+size-021 size-007" "to-014 cwru-instances size-007+size-021 size-014" \
    "to-021 cwru-instances size-007+size-014 size-021"; do
    read -r name manifest from to <<<"$task"
    run "$name-families-s$seed" "$manifest" "${from/+/ }" "$to" --input defect-orders --extractor defect-families --seed "$seed"
    # the same network from the rule on: class scores are those of the families over the rule's threshold (of the source's labels), plus what the
    # network adds, whose last layer starts at zero; written down before these runs, all else as above
    run "$name-residual-s$seed" "$manifest" "${from/+/ }" "$to" --input defect-orders --extractor defect-families --label-head rule --seed "$seed"
  done
done
for seed in 0 1 2 3 4; do
  for input in log-spectrum raw; do
    for ends in "drive fan" "fan drive"; do
      read -r from to <<<"$ends"
      run "$from-$to-$input-s$seed" cwru-bearings "$from-end" "$to-end" --input "$input" "${short[@]}" --seed "$seed"
      [ "$seed" -gt 0 ] || mfpt "$from-$to-$input-s0" "$from-end"
    done
  done
  [ "$seed" -gt 0 ] || for input in log-spectrum raw; do
    run "mfs-self-$input" hit-sm mfs self_built --scale recording --input "$input" "${short[@]}"
    run "self-mfs-$input" hit-sm self_built mfs --scale recording --input "$input" "${short[@]}"
    run "from-600-$input" hit-sm-speeds rpm-600 "rpm-900 rpm-1200" --scale recording --input "$input" "${short[@]}"
    run "from-900-$input" hit-sm-speeds rpm-900 "rpm-600 rpm-1200" --scale recording --input "$input" "${short[@]}"
    run "from-1200-$input" hit-sm-speeds rpm-1200 "rpm-600 rpm-900" --scale recording --input "$input" "${short[@]}"
  done
done
for seed in 0 1 2; do
  for input in log-spectrum raw; do
    run "to-007-$input-s$seed" cwru-instances "size-014 size-021" size-007 --input "$input" "${short[@]}" --seed "$seed"
    run "to-014-$input-s$seed" cwru-instances "size-007 size-021" size-014 --input "$input" "${short[@]}" --seed "$seed"
    run "to-021-$input-s$seed" cwru-instances "size-007 size-014" size-021 --input "$input" "${short[@]}" --seed "$seed"
  done
done
