// What a decode keeps while another's long prompt is read, and what the prompt keeps: rates alone and together, and the
// longest gap between two tokens. Usage: node --import tsx bench/interleave.ts MODEL [PROMPT TOKENS] [PREFILL SHARE].
// Prints one JSON object. The machine has to be otherwise idle.

import { warmPages } from '../src/cli/bench/file-pages.ts';
import { open } from '../src/open.node.ts';

const [path, tokens = '1024', share = ''] = process.argv.slice(2);
const length = Number(tokens);
if (path.endsWith('.gguf')) await warmPages(path, 2, new AbortController().signal);
const model = await open(path, {
  context: 4096,
  maxSequences: 4,
  speculation: false, // beside a prompt there is none either
  ...(share === '' ? {} : { promptShare: Number(share) / 100 }),
});
const { engine } = model;
const ids = (count: number, seed: number): Int32Array => {
  let state = seed;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 100 + (state % Math.min(100_000, engine.model.vocab - 200));
  });
};
const greedy = { temperature: 0, stopIds: [] as number[] };

/** Times at which its tokens came. */
async function decode(
  seed: number,
  count: number,
  onToken?: (i: number) => void,
  signal?: AbortSignal,
): Promise<number[]> {
  const times: number[] = [];
  try {
    for await (const { index } of engine.generate(ids(16, seed), { ...greedy, maxTokens: count, signal })) {
      times.push(performance.now());
      onToken?.(index);
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
  return times;
}

async function read(seed: number): Promise<[number, number]> {
  const start = performance.now();
  for await (const _ of engine.generate(ids(length, seed), { ...greedy, maxTokens: 1 }));
  return [start, performance.now()];
}

const rate = (times: readonly number[]): number => ((times.length - 1) * 1000) / (times[times.length - 1] - times[0]);
await decode(1, 8); // warm
const alone = rate(await decode(2, 32));
const [from, to] = await read(3);
const promptAlone = (length * 1000) / (to - from);
const controller = new AbortController();
let reading: Promise<[number, number]> | null = null;
const times = await decode(
  4,
  3000,
  (i) => {
    if (i !== 4) return;
    reading = read(5);
    void reading.then(() => controller.abort());
  },
  controller.signal,
);
const [start, end] = await reading!;
const during = times.filter((time) => time >= start && time <= end);
const points = [start, ...during, end];
const gaps = points.slice(1).map((time, i) => time - points[i]);
gaps.sort((a, b) => b - a);
const together = (during.length * 1000) / (end - start);
const promptTogether = (length * 1000) / (end - start);
const round = (value: number): number => Math.round(value * 100) / 100;
process.stdout.write(
  `${JSON.stringify({
    decode: { alone: round(alone), together: round(together), kept: round(together / alone) },
    prompt: {
      tokens: length,
      alone: round(promptAlone),
      together: round(promptTogether),
      kept: round(promptTogether / promptAlone),
    },
    longestGapsMs: gaps.slice(0, 5).map(Math.round),
    tokensDuring: during.length,
    on: model.description,
  })}\n`,
);
await model.close();
