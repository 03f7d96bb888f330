#!/bin/sh
# Builds the workbench with the flags of native/variants.mjs into build/bench/ and runs it with the given arguments.
set -e
cd "$(dirname "$0")/../.."
exec "$(node bench/native/build.mjs)" "$@"
