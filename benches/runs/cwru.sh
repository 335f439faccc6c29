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

# three conditions, another bearing
bearings() {
  local source=$1 target=$2 name=$3
  shift 3
  run "$name" --data "$here/datasets/cwru-bearings.toml" --source "$source" --target "$target" "$@"
}
bearings drive-end fan-end raw-drive-fan "${windows[@]}"
bearings fan-end drive-end raw-fan-drive "${windows[@]}"
