// Progress of an evaluation on stderr: a bar with speed and time left on a terminal, a line every half minute elsewhere.

import { Presets, SingleBar } from 'cli-progress';
import type { SampleRecord } from '../../evals/record.ts';
import type { Context } from '../context.ts';
import { duration } from '../hub/progress.ts';

export interface EvalBar {
  update(done: number, of: number, record: SampleRecord | null): void;
  stop(): void;
}

const LINE_MS = 30_000;

export function evalBar(context: Context, name: string, quiet: boolean): EvalBar {
  const { err } = context.terminal;
  if (quiet) return { update() {}, stop() {} };
  const start = performance.now();
  let [tokens, asked] = [0, 0];
  const describe = (done: number, of: number): { speed: string; left: string } => {
    const seconds = (performance.now() - start) / 1000;
    return {
      speed: `${Math.round(tokens / Math.max(seconds, 1e-3))} tokens/s`,
      left: asked === 0 ? '–' : `${duration(((of - done) * seconds) / asked)} left`,
    };
  };
  const bar = err.isTerminal
    ? new SingleBar(
        {
          format: `${name} {bar} {value}/{total} · {speed} · {left}`,
          ...{ hideCursor: true, stream: process.stderr, clearOnComplete: false },
        },
        Presets.shades_classic,
      )
    : null;
  let isStarted = false;
  let last = start;
  return {
    update(done, of, record) {
      if (record !== null) {
        asked++;
        tokens += record.usage.completionTokens;
      }
      const payload = describe(done, of);
      if (bar !== null) {
        if (isStarted) bar.update(done, payload);
        else bar.start(of, done, payload);
        isStarted = true;
        return;
      }
      if (record === null && done > 0) err.write(`gptoss: ${name}: ${done} of ${of} were answered before\n`);
      if (performance.now() - last < LINE_MS) return;
      last = performance.now();
      err.write(`gptoss: ${name} ${done}/${of} · ${payload.speed} · ${payload.left}\n`);
    },
    stop() {
      if (isStarted) bar?.stop();
    },
  };
}
