#!/bin/sh
# Builds the C guests beside their sources; see README.md.
set -eu
cd "$(dirname "$0")"
for source in ${*:-*.c}; do
    python3 -m ziglang cc -target wasm32-wasi -O1 -s -Wall -o "${source%.c}.wasm" "$source"
    chmod 644 "${source%.c}.wasm"
done
