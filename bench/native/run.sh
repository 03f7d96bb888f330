#!/bin/sh
# Builds the workbench with the flags of scripts/build-native.mjs into build/bench/ and runs it with the given arguments.
set -e
cd "$(dirname "$0")/../.."
mkdir -p build/bench
common="-std=c++20 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -pthread -g1"
fma="-mavx2 -mfma -mf16c"
avx512="$fma -mavx512f -mavx512bw -mavx512vl -mavx512dq"
newest=$(find native bench/native -name '*.h' -o -name '*.inl' | xargs ls -t | head -n 1)
unit() { # name source flags
  out="build/bench/$1.o"
  if [ ! "$out" -nt "$2" ] || [ ! "$out" -nt "$newest" ]; then
    shift 1
    source=$1
    shift
    ${CXX:-g++} $common "$@" -c "$source" -o "$out"
  fi
}
unit scalar native/isa/scalar.cc -fno-exceptions -fno-rtti
unit avx2 native/isa/avx2.cc -fno-exceptions -fno-rtti $fma
unit avx512 native/isa/avx512.cc -fno-exceptions -fno-rtti $avx512
unit avx512_vnni native/isa/avx512_vnni.cc -fno-exceptions -fno-rtti $avx512 -mavx512vnni -mavx512vbmi -mavx512bf16
unit threads native/threads.cc
unit memory native/memory.cc
unit matmul bench/native/matmul.cc
(cd build/bench && ${CXX:-g++} -pthread scalar.o avx2.o avx512.o avx512_vnni.o threads.o memory.o matmul.o -o matmul)
exec build/bench/matmul "$@"
