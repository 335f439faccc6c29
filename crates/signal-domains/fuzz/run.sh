#!/bin/sh
# Builds all targets by the stable compiler, without cargo-fuzz, and runs them for so many seconds each:
#   ./run.sh 30 [TARGET ..]
# Seeds are the fixtures and attacks of the tests; what is found is put below artifacts/. No sanitizer: the crate has no
# unsafe code. Needs g++.
set -eu
cd "$(dirname "$0")"
seconds=$1
shift
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags="$flags -Cllvm-args=-sanitizer-coverage-trace-compares"
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" cargo build --quiet --release --target "$host" --bins
[ $# -gt 0 ] || set -- $(ls fuzz_targets | sed 's/\.rs$//')
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    case $target in
    text) seeds="*.csv *.txt" ;;
    gzip) seeds="*.gz" ;;
    utf16) seeds="utf16.txt half_a_character.txt" ;;
    hdf5) seeds="*.h5 *73.mat" ;;
    mat5) seeds="plain.mat small_*.mat nested*.mat deep.mat compressed.mat" ;;
    mat4) seeds="level4*.mat" ;;
    raw) seeds="big.npy" ;;
    *) seeds="*.$target" ;;
    esac
    for seed in $seeds; do
        find ../tests/fixtures ../tests/attacks -name "$seed" -size -64k -exec cp -n {} "corpus/$target/" \;
    done
    echo "== $target"
    "target/$host/release/$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=65536 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 "corpus/$target" 2>&1 |
        grep -E "stat::number_of_executed_units|stat::peak_rss|panicked|ERROR|SUMMARY|artifact" || true
done
