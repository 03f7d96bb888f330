// Builds matmul.cc with every variant of this processor family and prints the program's path. CXX names another compiler.
import { join } from 'node:path';
import { buildKernelProgram, root } from '../../scripts/kernel-program.mjs';

const program = await buildKernelProgram({
  compiler: process.env.CXX ?? 'g++',
  arch: process.arch,
  main: 'bench/native/matmul.cc',
  folder: join(root, 'build', 'bench'),
  flags: ['-O3', '-w', '-g1'],
});
process.stdout.write(program);
