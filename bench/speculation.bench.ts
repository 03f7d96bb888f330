// What guessed tokens cost and bring. Three parts, each by name (default: all that the given files allow):
//   node scripts/run.mjs bench/speculation.bench.ts [--model BIG] [verify] [never] [text]
// verify  time of a decode step of 1 … 16 rows of one sequence on BIG, random tokens (routing as spread as it gets)
// never   decode speed with and without speculation, in turn, on BIG where no guess comes true: sampled noise, and noise
//         over 8 tokens, in which pairs recur all the time
// text    the embedded model over the 71 published prompts and over tool loops and copies: guesses, hits, steps saved
// Tables on stdout.

import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { GenerateOptions } from '../src/engine/generation.ts';
import { open } from '../src/open.node.ts';
import { seedModel } from '../test/shared.ts';
import { median, OneSequence, openModel, randomTokens } from './steps.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: 'string' }, repeat: { type: 'string', default: '5' } },
});
const repeat = Number(values.repeat);
const wants = (part: string): boolean => positionals.length === 0 || positionals.includes(part);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

if (values.model !== undefined && wants('verify')) await verify(values.model);
if (values.model !== undefined && wants('never')) await never(values.model);
if (wants('text')) await text();

async function verify(path: string): Promise<void> {
  const { model, backend, close } = openModel(path);
  const cache = model.cache({ pageTokens: 64, fullPages: 8, slidingPages: 8, type: 'f16' });
  const lane = model.lane({ rows: 64, scored: 16 }, cache);
  const sequence = new OneSequence(lane, 8);
  await backend.populate();
  await sequence.step(randomTokens(64, model.vocab), 'none');
  const counts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16];
  const times = new Map<number, number[]>(counts.map((rows) => [rows, []]));
  for (let round = 0; round <= repeat; round++) {
    for (const rows of counts) {
      const ms = await sequence.step(randomTokens(rows, model.vocab, 100 * round + rows), 'all', true);
      if (round > 0) times.get(rows)!.push(ms);
    }
  }
  const one = median(times.get(1)!);
  say(`verify: ${path}, ${backend.description}, median of ${repeat}`);
  for (const [rows, list] of times) {
    const ms = median(list);
    const spread = `${Math.min(...list).toFixed(0)} … ${Math.max(...list).toFixed(0)}`;
    const needed = (((ms / one - 1) / Math.max(1, rows - 1)) * 100).toFixed(0);
    say(
      `${String(rows).padStart(3)} rows ${ms.toFixed(1).padStart(7)} ms (${spread})  ${(ms / one).toFixed(2)} × one row` +
        (rows > 1 ? `; pays when more than ${needed} % of the ${rows - 1} guesses stand` : ''),
    );
  }
  await close();
}

async function never(path: string): Promise<void> {
  const few = randomTokens(8, 100_000, 77);
  const ways: Record<string, () => GenerateOptions> = {
    'noise over the vocabulary': () => ({ temperature: 1, seed: 4 }),
    'noise over 8 tokens': () => ({
      temperature: 100,
      seed: 4,
      constraints: [{ allowed: () => ({ kind: 'only', ids: few }), accept: () => undefined }],
    }),
  };
  const models = {
    without: await open(path, { context: 1024, maxSequences: 1, speculation: false }),
    with: await open(path, { context: 1024, maxSequences: 1 }),
  };
  for (const [name, options] of Object.entries(ways)) {
    const speeds = { without: [] as number[], with: [] as number[] };
    for (let round = 0; round <= repeat; round++) {
      for (const side of ['without', 'with'] as const) {
        const { engine } = models[side];
        const request = { ...options(), maxTokens: 41, stopIds: [] };
        const { timings } = await engine.generate(randomTokens(64, 100_000), request).result;
        if (round > 0) speeds[side].push(40_000 / timings.decodeMs);
      }
    }
    const [off, on] = [median(speeds.without), median(speeds.with)];
    const { draftedTokens, acceptedTokens } = models.with.engine.stats();
    say(
      `never, ${name}: ${off.toFixed(2)} tokens/s without, ${on.toFixed(2)} with speculation: ` +
        `${((off / on - 1) * 100).toFixed(1)} % slower; ${draftedTokens} guesses run so far, ${acceptedTokens} stood`,
    );
    say(
      `  without ${speeds.without.map((n) => n.toFixed(2)).join(' ')}; with ${speeds.with.map((n) => n.toFixed(2)).join(' ')}`,
    );
  }
  await models.without.close();
  await models.with.close();
}

async function text(): Promise<void> {
  const expected = new URL('../../shared/models/seed-tiny/expected.json', import.meta.url);
  const cases = existsSync(expected)
    ? (
        JSON.parse(readFileSync(expected, 'utf8')) as {
          cases: { id: string; prompt_ids: number[]; output_ids: number[] }[];
        }
      ).cases
    : [];
  const kinds = new Map<string, number[][]>();
  const add = (kind: string, prompt: number[]): void => void kinds.set(kind, [...(kinds.get(kind) ?? []), prompt]);
  for (const { id, prompt_ids, output_ids } of cases) {
    add(/weather|calc|python/.test(id) ? 'tool loops' : 'questions', prompt_ids);
    // The conversation so far holds the same answer: what a loop that asks again, or a copy, looks like.
    add('asked again', [...prompt_ids, ...output_ids, ...prompt_ids]);
  }
  // Costs of the 20b shape stand for the tiny model's: on its own steps of any rows cost the same.
  for (const [label, now] of [
    ['steps cost as measured', undefined],
    ['rows cost nothing', () => 0],
  ] as const) {
    for (const [kind, prompts] of kinds) {
      for (const [way, sampling] of [
        ['greedy', { temperature: 0 }],
        ['sampled', { temperature: 1, seed: 1 }],
      ] as const) {
        const results = [];
        for (const speculation of [false, true]) {
          const model = await open(seedModel, { context: 1024, maxSequences: 1, speculation, ...(now && { now }) });
          const start = performance.now();
          const said: (readonly number[])[] = [];
          for (const prompt of prompts)
            said.push((await model.engine.generate(prompt, { ...sampling, maxTokens: 200 }).result).tokens);
          results.push({ said, ms: performance.now() - start, ...model.engine.stats() });
          await model.close();
        }
        const [off, on] = results;
        const differ = off.said.filter((tokens, i) => String(tokens) !== String(on.said[i])).length;
        const steps = off.steps - prompts.length;
        say(
          `text, ${label}, ${kind}, ${way}: ${on.generatedTokens} tokens, ${on.draftedTokens} guesses run, ` +
            `${on.acceptedTokens} stood (${((100 * on.acceptedTokens) / Math.max(1, on.draftedTokens)).toFixed(0)} %), decode steps ` +
            `${steps} -> ${on.steps - prompts.length}; ${(off.ms / on.ms).toFixed(2)} × as fast; ${differ} of ${prompts.length} answers differ`,
        );
      }
    }
  }
}
