#!/usr/bin/env bash
# The transfers on the CWRU recordings that the README quotes: one command line each.
#
#   CROSSRIG_DATA=DIR benches/runs/cwru.sh OUT [CROSSRIG] [NAME...]
#
# OUT       folder of the runs; a run that is finished there is not done again
# CROSSRIG  the program (default: target/release/crossrig)
# NAME      only these runs
set -uo pipefail
out=$1
crossrig=${2:-target/release/crossrig}
shift $(($# > 2 ? 2 : $#))
only=" $* "
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"

run() {
  local name=$1
  shift
  case "$only" in "  " | *" $name "*) ;; *) return ;; esac
  [ -e "$out/$name/metrics.json" ] && return
  rm -rf "${out:?}/$name"
  echo "== $name: crossrig train $*"
  "$crossrig" train --out "$out/$name" "$@" || echo "$name failed with exit code $?"
}

windows=(--split windows --fractions 0.8,0,0.2)

# nine conditions, one machine, four loads; the public figures that these stand beside were made on leaky windows too
loads() {
  local source=$1 target=$2 name=$3
  shift 3
  run "$name" --data "$here/datasets/cwru.toml" --source "load$source" --target "load$target" --classes '!normal' \
    --target-recordings '!97*,!98*,!99*,!100*' "$@"
}

task() { # source target seed
  loads "$1" "$2" "raw-$1-$2-s$3" "${windows[@]}" --seed "$3"
  loads "$1" "$2" "log-$1-$2-s$3" "${windows[@]}" --seed "$3" --input log-spectrum
}
task 0 3 0
task 3 0 0
task 3 1 0
task 1 2 0
task 3 0 1
task 3 0 2
loads 3 0 raw-3-0-blocks --split blocks
loads 3 0 log-3-0-blocks --split blocks --input log-spectrum
loads 3 0 raw-3-0-seresnext26-small "${windows[@]}" --extractor seresnext26-small

# Log-spectra by the recipe of a study of these recordings (labels smoothed, cosine rate): with the 4,096 features of the extractor
# before both heads; with a layer of 64 between; and with the largest lambda of 1, 0.3, 0.1 at which the domain head was not outrun on
# load3 -> load0 (its loss in the last epoch at most 1.25 ln 2; no score was looked at)
recipe=(--input log-spectrum --lr-schedule cosine --label-smoothing 0.05 --domain-loss mean-over-rows)
hidden=("${recipe[@]}" --projection 64 --label-head linear)
calm=("${hidden[@]}" --lambda dann:0:0.3:10)
for pair in "3 0" "0 3" "3 1" "1 2"; do
  read -r source target <<<"$pair"
  loads "$source" "$target" "recipe-$source-$target-s0" "${windows[@]}" --seed 0 "${recipe[@]}"
  loads "$source" "$target" "hidden64-$source-$target-s0" "${windows[@]}" --seed 0 "${hidden[@]}"
  loads "$source" "$target" "calm-$source-$target-s0" "${windows[@]}" --seed 0 "${calm[@]}"
done
loads 3 0 calm-3-0-s1 "${windows[@]}" --seed 1 "${calm[@]}"
loads 3 0 calm-3-0-s2 "${windows[@]}" --seed 2 "${calm[@]}"

# three conditions, another bearing
bearings() {
  local source=$1 target=$2 name=$3
  shift 3
  run "$name" --data "$here/datasets/cwru-bearings.toml" --source "$source" --target "$target" "$@"
}
bearings drive-end fan-end raw-drive-fan "${windows[@]}"
bearings fan-end drive-end raw-fan-drive "${windows[@]}"
