#!/usr/bin/env bash
# Lints, and with them a type check, of all crates with the feature `cuda`, without the CUDA toolkit: .ci/nvcc-stand-in takes the
# place of nvcc. In a target folder of its own, so that its empty kernels never get into a program.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
ln -s "$PWD/.ci/nvcc-stand-in" "$bin/nvcc"
PATH="$bin:$PATH" NVCC="$bin/nvcc" CUDA_COMPUTE_CAP=80 CARGO_TARGET_DIR=target/cuda \
  cargo clippy --workspace --all-targets --features cuda --locked -- -D warnings
