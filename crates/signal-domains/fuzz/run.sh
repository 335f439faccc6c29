#!/bin/sh
# Builds all targets by the stable compiler, without cargo-fuzz, and runs them, as many at a time as there are cores; needs g++.
#   ./run.sh 30 [TARGET ..]           30 seconds each
#   ./run.sh --total 30 [TARGET ..]   30 seconds for all
#   ./run.sh --jobs 3 ..              three at a time
#   ./run.sh --built ..               with the programs that are there
# Seeds are the fixtures and attacks of the tests. A line for each target: its name, executions, seconds, new inputs, peak MB,
# findings; also appended to log.tsv. What is found is put below artifacts/, and the exit status is 1. No sanitizer: the crate
# has no unsafe code.
set -eu
cd "$(dirname "$0")"
host=$(rustc -vV | sed -n 's/^host: //p')

# One target, SECONDS long.
run_one() {
    target=$1 seconds=$2
    mkdir -p "corpus/$target" "artifacts/$target"
    case $target in
    text) seeds="*.csv *.txt" ;;
    gzip) seeds="*.gz" ;;
    utf16) seeds="utf16.txt half_a_character.txt" ;;
    hdf5) seeds="*.h5 *73.mat" ;;
    mat5) seeds="plain.mat small_*.mat nested*.mat deep.mat compressed.mat" ;;
    mat4) seeds="level4*.mat" ;;
    raw) seeds="big.npy" ;;
    arrow) seeds="*.arrow *.arrows *.feather" ;;
    *) seeds="*.$target" ;;
    esac
    set -f
    for seed in $seeds; do
        find ../tests/fixtures ../tests/attacks -name "$seed" -size -64k -exec cp -n {} "corpus/$target/" \;
    done
    set +f
    before=$(ls "artifacts/$target" | wc -l)
    ended=0
    "target/$host/release/$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=60 -max_len=65536 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 "corpus/$target" >"artifacts/$target.log" 2>&1 || ended=$?
    stat() { sed -n "s/^stat::$1: *//p" "artifacts/$target.log"; }
    spent=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "artifacts/$target.log")
    after=$(ls "artifacts/$target" | wc -l)
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$target" "$(stat number_of_executed_units)" "${spent:-0}" "$(stat new_units_added)" \
        "$(stat peak_rss_mb)" "$((after - before))" | tee -a log.tsv
    # a fault that was found before has its file already: the status tells it from none
    if [ "$ended" -ne 0 ] || [ "$after" -gt "$before" ] || [ -z "$spent" ]; then
        grep -E "panicked|ERROR|SUMMARY|artifact|Test unit" "artifacts/$target.log" || echo "$target ended with status $ended"
        return 1
    fi
}

if [ "$1" = --one ]; then
    run_one "$3" "$2"
    exit
fi
built=
total=
jobs=$(getconf _NPROCESSORS_ONLN)
while :; do
    case $1 in
    --built) built=1 ;;
    --total) total=1 ;;
    --jobs) jobs=$2 && shift ;;
    *) break ;;
    esac
    shift
done
seconds=$1
shift
if ! command -v g++ >/dev/null; then
    echo "skipped: libFuzzer needs g++"
    exit 0
fi
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags="$flags -Cllvm-args=-sanitizer-coverage-trace-compares"
[ -n "$built" ] || RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" cargo build --quiet --locked --release --target "$host" --bins
[ $# -gt 0 ] || set -- $(ls fuzz_targets | sed 's/\.rs$//')
if [ -n "$total" ]; then
    seconds=$((seconds * jobs / $#))
    [ "$seconds" -gt 0 ] || seconds=1
fi
# HDF5 is read from a file, written for each execution
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
printf '%s\n' "$@" | xargs -P "$jobs" -n 1 ./run.sh --one "$seconds" || exit 1
