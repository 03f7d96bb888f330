// A progress bar on a terminal, a line now and then elsewhere; always on stderr. Speed is that of the last seconds.

import { Presets, SingleBar } from 'cli-progress';
import type { Context } from '../context.ts';
import { bytes } from '../screen/table.ts';

export interface ProgressLine {
  update(done: number, total: number, note?: string): void;
  stop(): void;
}

const WINDOW_MS = 5_000;
const QUIET_LINE_MS = 10_000;

export function progressLine(context: Context, verb: string, quiet: boolean): ProgressLine {
  const { err } = context.terminal;
  const samples: { at: number; done: number }[] = [];
  const rate = (done: number): number => {
    const now = performance.now();
    samples.push({ at: now, done });
    while (samples.length > 2 && now - samples[0].at > WINDOW_MS) samples.shift();
    const seconds = (now - samples[0].at) / 1000;
    return seconds > 0.2 ? Math.max(0, (done - samples[0].done) / seconds) : 0;
  };
  const describe = (done: number, total: number): { speed: string; left: string } => {
    const perSecond = rate(done);
    return {
      speed: perSecond > 0 ? `${bytes(perSecond)}/s` : '–',
      left: perSecond > 0 ? duration((total - done) / perSecond) : '–',
    };
  };
  if (quiet) return { update() {}, stop() {} };
  if (!err.isTerminal) {
    let last = performance.now(); // short work needs no line
    return {
      update(done, total) {
        const { speed, left } = describe(done, total);
        if (performance.now() - last < QUIET_LINE_MS) return;
        last = performance.now();
        err.write(`gptoss: ${verb} ${bytes(done)} of ${bytes(total)} (${speed}, ${left} left)\n`);
      },
      stop() {},
    };
  }
  const bar = new SingleBar(
    {
      format: `${verb} {bar} {percentage} % · {size} · {speed} · {left} left {note}`,
      hideCursor: true,
      stream: process.stderr,
      clearOnComplete: false,
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total, note = '') {
      const payload = { ...describe(done, total), size: `${bytes(done)} of ${bytes(total)}`, note };
      if (!started) bar.start(total, done, payload);
      else bar.update(done, payload);
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
