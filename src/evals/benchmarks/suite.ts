// A benchmark as a suite: its items, or some of them drawn by the seed, at the wanted levels, so often each.

import type { ReasoningEffort } from '../../text/harmony/messages.ts';
import { Random } from '../../train/tasks/random.ts';
import { hash32 } from '../../train/tasks/split.ts';
import type { Row } from '../rows.ts';
import { titleOf } from '../suites.ts';
import { type Cell, cellName, type Sample, type Suite } from '../task.ts';
import type { Benchmark } from './benchmark.ts';

export interface BenchmarkOptions {
  readonly levels: readonly ReasoningEffort[];
  /** Questions; absent: all. */
  readonly items?: number;
  readonly repeats: number;
  readonly seed: number;
  readonly temperature: number;
  readonly hasTools: boolean;
  readonly maxTokens?: number;
  readonly only: readonly string[];
}

export function benchmarkSuite(
  benchmark: Benchmark,
  rows: readonly Row[],
  hash: string,
  options: BenchmarkOptions,
): Suite {
  const { items, notes } = benchmark.items(rows);
  const { levels, repeats, seed, temperature, hasTools, maxTokens, only } = options;
  const places = items.map((_, i) => i);
  const count = Math.min(options.items ?? items.length, items.length);
  const chosen = new Random(seed, `items of ${benchmark.name}`, 0).sample(places, count).sort((a, b) => a - b);
  const samples: Sample[] = [];
  for (const place of chosen) {
    const { id, group, ask } = items[place]!;
    for (const level of levels) {
      const cell: Cell = {
        ...{ group, set: benchmark.name, level },
        tools: hasTools ? 'on' : 'off',
        sampling: temperature === 0 ? 'greedy' : 'sampled',
      };
      if (only.length > 0 && !only.some((word) => cellName(cell).includes(word))) continue;
      for (let repeat = 0; repeat < repeats; repeat++) {
        const key = `${level}/${place}/${repeat}`;
        samples.push({
          ...{ key, cell, repeat },
          prepare() {
            const { messages, grade } = ask(repeat, seed);
            const question = { messages, level, temperature, seed: hash32(`${seed} ${key}`), maxTokens };
            return { item: `${benchmark.name}/${hash32(id).toString(16)}/${place}`, question, grade };
          },
        });
      }
    }
  }
  return {
    ...{ name: benchmark.name, title: titleOf(benchmark.name), samples, needsJudge: benchmark.needsJudge },
    identity: { data: hash, ...options },
    notes: [
      ...notes,
      ...(count < items.length ? [`${count} of ${items.length} questions, drawn with seed ${seed}`] : []),
      ...(count * repeats < 100 ? [`${count} questions say little: see the standard error`] : []),
    ],
  };
}
