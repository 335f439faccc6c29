#!/usr/bin/env bash
# The tests of the crate that has unsafe code (the CPU kernels) under AddressSanitizer, on every instruction set that this CPU
# has. The sanitiser is an unstable option of the stable compiler, which RUSTC_BOOTSTRAP lets through. Small numbers of random
# cases: memory errors do not hide in tolerances.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/sanitize
# rayon's threads live to the end of the process
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0
export CROSSRIG_PROPTEST_CASES=${CROSSRIG_PROPTEST_CASES:-16}

cargo test --locked --profile sanitize --target "$target" -p candle-convnet1d --lib --tests
