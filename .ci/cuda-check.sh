#!/usr/bin/env bash
# Lints, and with them a type check, of all crates with the feature `cuda`, without the CUDA toolkit: .ci/nvcc-stand-in takes the
# place of nvcc. The target is named, which keeps its empty kernels in a folder where no program is built, and yet shares
# build scripts and procedural macros with the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
ln -s "$PWD/.ci/nvcc-stand-in" "$bin/nvcc"
PATH="$bin:$PATH" NVCC="$bin/nvcc" CUDA_COMPUTE_CAP=80 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target} \
  cargo clippy --workspace --all-targets --features cuda --locked --target "$(rustc -vV | sed -n 's/^host: //p')" -- -D warnings
