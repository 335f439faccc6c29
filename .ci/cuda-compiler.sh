#!/usr/bin/env bash
# Compiles every kernel of the repository with NVIDIA's compiler, as the build scripts do, and checks that the PTX has each
# kernel of its source and that the assembler takes it. Needs no GPU and no driver. The compiler is installed where it is
# not, 250 MB, from PyPI:
#
#   .ci/cuda-compiler.sh [FOLDER]      default: target/nvcc
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-target/nvcc}
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

sources=$(git ls-files '*.cu')
[ -n "$sources" ] || { echo "no kernels found"; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for source in $sources; do
  ptx=$out/$(basename "$source" .cu).ptx
  "$home/bin/nvcc" -ptx -O3 --fmad=false -arch=compute_80 -Werror all-warnings -o "$ptx" "$source"
  expected=$(grep -oE '__global__ void [A-Za-z0-9_]+' "$source" | sed 's/.* //' | sort)
  found=$(grep -oE '\.visible \.entry [A-Za-z0-9_]+' "$ptx" | sed 's/.* //' | sort)
  [ -n "$expected" ] && [ "$expected" = "$found" ] ||
    { printf '%s: kernels in the source:\n%s\nin the PTX:\n%s\n' "$source" "$expected" "$found"; exit 1; }
  "$home/bin/ptxas" -arch=sm_80 -o "$out/cubin" "$ptx"
  echo "$source: $(echo "$found" | tr '\n' ' ')"
done
