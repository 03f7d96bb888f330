// The 71 greedy answers of seed-tiny on each variant of the cpu backend, without a test runner, so that one file of it can
// be run by another processor's Node: scripts/test-arm-answers.mjs bundles it. Arguments: the addon, the model.
// Prints `N passed, N failed`.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CpuBackend, cpuVariants } from '../src/backend/cpu/cpu.ts';
import { openCheckpoint } from '../src/formats/checkpoint.node.ts';
import { greedy, TestSequences, testCache } from '../src/model/golden.testing.ts';
import { createModel } from '../src/model/load.ts';

const [addonPath, folder] = process.argv.slice(2);
const { cases } = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as {
  cases: readonly { id: string; prompt_ids: readonly number[]; output_ids: readonly number[] }[];
};

let passed = 0;
let failed = 0;
for (const variant of cpuVariants(addonPath)) {
  const checkpoint = openCheckpoint(folder);
  const backend = new CpuBackend({ precision: 'exact', maxRows: 512, threads: 1, addonPath, variant });
  const model = createModel(checkpoint, backend);
  const cache = testCache(model, 1024);
  const lane = model.lane({ rows: 512, scored: 1 }, cache);
  let same = 0;
  for (const { id, prompt_ids, output_ids } of cases) {
    const answer = await greedy(lane, new TestSequences(model, cache), prompt_ids, 400, checkpoint.stopIds);
    if (answer.join() === output_ids.join()) same++;
    else process.stdout.write(`FAILED ${variant} ${id}\n`);
  }
  await model.close();
  checkpoint.close();
  process.stdout.write(`${variant}: ${same} of ${cases.length} answers\n`);
  passed += same;
  failed += cases.length - same;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
