#!/usr/bin/env bash
# Builds the release binary for this machine, statically linked, and prints its path. With musl where that target is
# installed (rustup target add x86_64-unknown-linux-musl), else with a static glibc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo=${CARGO:-cargo} arch=$(uname -m)
target=$arch-unknown-linux-musl
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
  target=$arch-unknown-linux-gnu
  export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
fi
# A target that is named keeps build scripts and macros from being linked so too.
"$cargo" build --release --locked --target "$target" >&2
echo "${CARGO_TARGET_DIR:-target}/$target/release/evenkeel"
