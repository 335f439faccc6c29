#!/usr/bin/env bash
# Lints, and with them a type check, of what depends on the target, for other targets: files and paths on
# Windows, the kernels on Arm. Nothing is linked, so the C sources in the tree (mimalloc's) go through the host's compiler, and no
# compiler for the target is needed. A target that cannot be installed is left out, with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

check() { # TARGET WHAT...
  local target=$1 name=${1//-/_} reason
  shift
  if ! rustup target list --installed | grep -qx "$target" && ! reason=$(rustup target add "$target" 2>&1); then
    printf 'left out: %s cannot be installed\n%s\n' "$target" "$reason"
    return
  fi
  echo "$target"
  env "CC_$name=cc" "AR_$name=ar" cargo clippy --locked --target "$target" "$@" -- -D warnings
}

check x86_64-pc-windows-gnu --workspace
check aarch64-unknown-linux-gnu -p candle-convnet1d --all-targets
