#!/usr/bin/env bash
# Compiles every kernel of the repository with NVIDIA's compiler, by the build script of its crate, and checks that the PTX has
# each kernel of its source and that the assembler takes it. Needs no GPU and no driver. The compiler is installed where it is
# not, 250 MB, from PyPI:
#
#   .ci/cuda-compiler.sh [FOLDER]      default: target/nvcc
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "${1:-target/nvcc}")
home=$folder/nvidia/cu13

# parts of one release refuse to work with those of another, and each asks pip for the newest of the others (hence --no-deps);
# compiler and headers only, the libraries are five times as large
parts=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96)

if [ ! -x "$home/bin/nvcc" ]; then
  if ! python3 -m pip --version >/dev/null 2>&1; then
    apt-get update -qq && apt-get install -y -qq python3-pip
  fi
  # unpacked beside it and moved, so that an interrupted installation is not taken for a whole one
  rm -rf "$folder.part"
  python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
    --no-deps --no-compile --target "$folder.part" "${parts[@]}"
  rm -rf "$folder"
  mv "$folder.part" "$folder"
fi
# preprocessing is done by the host's C++ compiler
if ! command -v g++ >/dev/null; then
  apt-get update -qq && apt-get install -y -qq g++
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
fail() { printf '%s\n' "$*"; exit 1; }

sources=$(git ls-files '*.cu')
[ -n "$sources" ] || fail "no kernels found"
for crate in $(sed -n 's,/src/.*,,p' <<<"$sources" | sort -u); do
  # as cargo runs it, but without building candle first
  rustc --edition 2024 -o "$out/build" "$crate/build.rs"
  said=$(cd "$crate" && CARGO_FEATURE_CUDA=1 OUT_DIR=$out NVCC=$home/bin/nvcc CUDA_COMPUTE_CAP=80 \
    NVCC_APPEND_FLAGS='-Werror all-warnings' "$out/build")
  ! grep -q '^cargo::error' <<<"$said" || fail "$said"
done
for source in $sources; do
  ptx=$out/$(basename "$source" .cu).ptx
  [ -s "$ptx" ] || fail "$source: its crate's build script does not compile it"
  expected=$(grep -oE '__global__ void [A-Za-z0-9_]+' "$source" | sed 's/.* //' | sort)
  found=$(grep -oE '\.visible \.entry [A-Za-z0-9_]+' "$ptx" | sed 's/.* //' | sort)
  [ -n "$expected" ] && [ "$expected" = "$found" ] ||
    fail "$(printf '%s: kernels in the source:\n%s\nin the PTX:\n%s' "$source" "$expected" "$found")"
  "$home/bin/ptxas" -arch=sm_80 -o "$out/cubin" "$ptx"
  echo "$source: $(stat -c %s "$ptx") bytes of PTX: $(echo "$found" | tr '\n' ' ')"
done
