#!/usr/bin/env bash
# Lints, and with them a type check, of all crates for targets that nothing here runs on. Nothing is linked, so the C sources
# in the tree (mimalloc's) go through the host's compiler, and no compiler for the target is needed. A target that cannot be
# installed is left out, with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

for target in x86_64-pc-windows-gnu aarch64-unknown-linux-gnu; do
  if ! rustup target list --installed | grep -qx "$target" && ! reason=$(rustup target add "$target" 2>&1); then
    printf 'left out: %s cannot be installed\n%s\n' "$target" "$reason"
    continue
  fi
  echo "$target"
  name=${target//-/_}
  env "CC_$name=cc" "AR_$name=ar" cargo clippy --workspace --all-targets --locked --target "$target" -- -D warnings
done
