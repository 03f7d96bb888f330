// Both sides of the bargain on machines of any speed, by a clock that only the scripted model moves.
import { describe, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import { FakeModel } from './model.testing.ts';

// A step of gpt-oss-20b: in each layer two segments of attention and nine of experts.
const LAYER = [1.4, 1.3, ...Array.from({ length: 9 }, () => 8.3 / 9)];
const SEGMENTS = 24 * LAYER.length;

/** What a decode and another's long prompt take, alone and together, in milliseconds of a machine. */
async function measure(machine: { promptRowMs: number; decodeMs: number }): Promise<{
  kept: { decode: number; prompt: number };
  longestGapMs: number;
}> {
  let clock = 0;
  const model = new FakeModel({
    vocab: 50,
    maxRows: 512,
    segments: SEGMENTS,
    beforeSegment: (segment, batch) => {
      const rows = batch.tokens.length;
      // Weights are read in any case.
      const step = machine.decodeMs + (rows > 16 ? rows * machine.promptRowMs : 0);
      clock += (step / SEGMENTS) * LAYER[segment % LAYER.length];
    },
  });
  const engine = new Engine(model, { context: 4096, maxSequences: 4, now: () => clock });
  const tokens = (count: number, salt: number): number[] =>
    Array.from({ length: count }, (_, i) => (i * 7 + salt) % 50);
  const options = { temperature: 0, stopIds: [] };
  const read = async (salt: number): Promise<[number, number]> => {
    const start = clock;
    for await (const _ of engine.generate(tokens(2048, salt), { ...options, maxTokens: 1 }));
    return [start, clock];
  };
  const [from, to] = await read(1);
  const times: number[] = [];
  const controller = new AbortController();
  let reading: Promise<[number, number]> | null = null;
  try {
    for await (const { index } of engine.generate([1, 2, 3], { ...options, signal: controller.signal })) {
      times.push(clock);
      if (index === 4) reading = read(2).finally(() => controller.abort());
    }
  } catch {
    // aborted when the prompt was read
  }
  const [start, end] = await reading!;
  await engine.close();
  const during = [start, ...times.filter((time) => time > start && time < end), end];
  const gaps = during.slice(1).map((time, i) => time - during[i]);
  return {
    kept: {
      decode: ((during.length - 2) * machine.decodeMs) / (end - start),
      prompt: (to - from) / (end - start),
    },
    longestGapMs: Math.max(...gaps),
  };
}

describe('a decode beside a long prompt', () => {
  it.each([
    ['as a small server', { promptRowMs: 10.7, decodeMs: 107 }],
    ['half as fast', { promptRowMs: 21.4, decodeMs: 150 }],
    ['with a slow memory', { promptRowMs: 8, decodeMs: 160 }],
    ['as a fast server', { promptRowMs: 1, decodeMs: 20 }],
  ])('%s: keeps a quarter of its rate without long gaps, the prompt half of its own', async (_, machine) => {
    const { kept, longestGapMs } = await measure(machine);
    expect(kept.decode).toBeGreaterThan(0.25);
    expect(kept.prompt).toBeGreaterThan(0.5);
    expect(longestGapMs).toBeLessThan(400);
  });

  it('has no long gaps where one of its steps alone takes most of one: the prompt gives way, to a third', async () => {
    const { kept, longestGapMs } = await measure({ promptRowMs: 14, decodeMs: 220 });
    expect(longestGapMs).toBeLessThan(400);
    expect(kept.decode).toBeGreaterThan(0.25);
    expect(kept.prompt).toBeGreaterThan(0.3);
  });
});
