#!/usr/bin/env bash
# The tests of the convolution's kernels on emulated 64-bit Arm, for their NEON path. Left out, with the reason, where the emulator
# or the compiler for Arm cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
compiler=aarch64-linux-gnu-gcc
install() { apt-get install -y -qq qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; }
if ! { command -v qemu-aarch64 && command -v "$compiler"; } >/dev/null &&
  ! reason=$({ install || { apt-get update -qq && install; }; } 2>&1); then
  printf 'left out: no emulator or compiler for Arm\n%s\n' "$reason"
  exit
fi
if ! rustup target list --installed | grep -qx "$target" && ! reason=$(rustup target add "$target" 2>&1); then
  printf 'left out: %s cannot be installed\n%s\n' "$target" "$reason"
  exit
fi

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$compiler CC_aarch64_unknown_linux_gnu=$compiler
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
cargo test --locked --target "$target" -p candle-convnet1d --lib --test conv --test conv_layers --test inference --test pytorch --test routes "$@"
