// Files that we write open in llama.cpp and mean the same there. It rounds the YaRN bounds (the format cannot say
// otherwise), so an answer may part where that matters: two of the 71 do in the published comparison.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasLlamaCpp, llamaGreedy } from '../../../test/llama-cpp.ts';
import { hasShared, sharedPath } from '../../../test/shared.ts';
import { convertCheckpoint } from './convert.ts';

interface Case {
  readonly id: string;
  readonly prompt_ids: readonly number[];
  readonly output_ids: readonly number[];
}

const reason = 'needs ../shared and the peer: npm install in bench/peers/llama-cpp';
describe.skipIf(!hasLlamaCpp || !hasShared('models', 'seed-tiny'))(`a converted GGUF in llama.cpp (${reason})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gptoss-convert-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const { cases } = JSON.parse(readFileSync(sharedPath('models', 'seed-tiny', 'expected.json'), 'utf8')) as {
    cases: Case[];
  };
  const stops = [1015, 1016, 1022];

  it.each([
    ['keep', 69],
    ['q8_0', 60],
  ] as const)('with dense matrices as %s gives the published greedy answers', (dense, least) => {
    const file = join(folder, `${dense}.gguf`);
    convertCheckpoint(sharedPath('models', 'seed-tiny'), file, { to: 'gguf', dense });
    const longest = Math.max(...cases.map((c) => c.output_ids.length));
    const theirs = llamaGreedy(
      file,
      cases.map((c) => c.prompt_ids),
      stops,
      longest,
    );
    const same = cases.filter((c, i) => c.output_ids.join() === theirs[i].join()).length;
    console.info(`${dense}: ${same} of ${cases.length} answers are the same`);
    expect(same).toBeGreaterThanOrEqual(least);
  });
});
