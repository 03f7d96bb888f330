// llama.cpp as a second opinion in tests, where the peer of the benchmark is installed (`npm install` in bench/peers/llama-cpp).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { repoPath } from './shared.ts';

const folder = repoPath('bench', 'peers', 'llama-cpp');

/** Whether the peer is installed; tests that need it skip with this reason when it is not. */
export const hasLlamaCpp = existsSync(`${folder}/node_modules/node-llama-cpp/dist/index.js`);

/** Greedy token ids for each prompt, up to a stop id (included) or `limit`. */
export function llamaGreedy(
  model: string,
  prompts: readonly (readonly number[])[],
  stops: readonly number[],
  limit: number,
): number[][] {
  const argument = JSON.stringify({ model, prompts, stops, limit });
  const options = { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 26, timeout: 300_000 } as const;
  const run = spawnSync(process.execPath, ['greedy.mjs', argument], options);
  if (run.status !== 0) throw new Error(`llama.cpp ended with ${run.status}: ${run.stderr}`);
  return JSON.parse(run.stdout) as number[][];
}
