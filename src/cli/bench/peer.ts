// llama.cpp as the peer of a comparison: node-llama-cpp, installed beside the repository's bench/peers/llama-cpp, never a
// dependency of the product. Where our kernels are held to AVX2 (GPTOSS_ISA=avx2) it is as well: its loader takes the best
// library it finds, so it is given a copy of itself in which only those for AVX2 lie. Next: bench/peers/llama-cpp/peer.mjs.

import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { GptOssError } from '../../errors.ts';

const peerFolder = fileURLToPath(new URL('../../../bench/peers/llama-cpp', import.meta.url));

/** The folder to start peer.mjs in. `isa`: what our own kernels are held to. */
export async function preparePeer(isa: string | null, cacheDir: string, say: (text: string) => void): Promise<string> {
  if (!existsSync(join(peerFolder, 'peer.mjs'))) {
    throw new GptOssError(
      'not-found',
      'the peer lives in bench/peers of the repository; expected a clone of it; this installation has none',
    );
  }
  await install(say);
  if (isa === null || process.arch !== 'x64') return peerFolder;
  if (!isa.startsWith('avx2')) {
    say(`gptoss is held to ${isa}, llama.cpp chooses for itself`);
    return peerFolder;
  }
  const folder = join(cacheDir, 'llama-cpp-avx2');
  if (!existsSync(join(folder, 'node_modules'))) {
    const part = `${folder}.part`; // an interrupted copy is no peer
    rmSync(part, { recursive: true, force: true });
    cpSync(peerFolder, part, {
      recursive: true,
      filter: (from) =>
        !/^libggml-cpu-(?!haswell|alderlake)/.test(basename(from)) && !/-(cuda|vulkan)/.test(basename(from)),
    });
    rmSync(folder, { recursive: true, force: true });
    renameSync(part, folder);
  }
  copyFileSync(join(peerFolder, 'peer.mjs'), join(folder, 'peer.mjs')); // the copy may be older
  return folder;
}

async function install(say: (text: string) => void): Promise<void> {
  if (existsSync(join(peerFolder, 'node_modules', 'node-llama-cpp'))) return;
  say('installing node-llama-cpp for the comparison …');
  const npm = (command: string, ...options: string[]): Promise<unknown> =>
    promisify(execFile)('npm', [command, '--no-audit', '--no-fund', '--ignore-scripts', ...options], {
      cwd: peerFolder,
    });
  // Some versions of npm miss the binaries of other platforms in the lock file and refuse `ci`.
  await npm('ci').catch(() => npm('install', '--no-package-lock'));
}
