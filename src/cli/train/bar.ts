// Progress of a stage on stderr: a bar with loss, speed and time left on a terminal, a line every half minute elsewhere.

import { Presets, SingleBar } from 'cli-progress';
import type { StepRecord } from '../../train/run/log.ts';
import type { Context } from '../context.ts';
import { duration } from '../hub/progress.ts';

export interface StageBar {
  update(record: StepRecord): void;
  stop(): void;
}

const LINE_MS = 30_000;

export function stageBar(context: Context, name: string, quiet: boolean): StageBar {
  const { err } = context.terminal;
  if (quiet) return { update() {}, stop() {} };
  let [perStep, speed, gflops] = [0, 0, 0];
  const smooth = (old: number, now: number): number => (old === 0 ? now : 0.9 * old + 0.1 * now);
  const describe = (record: StepRecord): Record<string, string> => {
    perStep = smooth(perStep, record.seconds);
    speed = smooth(speed, record.tokensPerSecond);
    gflops = smooth(gflops, record.gflops);
    const reward = record.reward === undefined ? '' : ` · reward ${record.reward.toFixed(3)}`;
    const margin = record.margin === undefined ? '' : ` · margin ${record.margin.toFixed(2)}`;
    return {
      loss: `loss ${record.loss.toFixed(3)}${reward}${margin}`,
      speed: `${Math.round(speed)} tokens/s${gflops > 0 ? ` · ${gflops.toFixed(1)} GFLOP/s` : ''}`,
      left: `${duration((record.of - record.step) * perStep)} left`,
    };
  };
  if (!err.isTerminal) {
    let last = Number.NEGATIVE_INFINITY;
    return {
      update(record) {
        const { loss, speed: rate, left } = describe(record);
        const isEdge = record.step === record.of;
        if (!isEdge && performance.now() - last < LINE_MS) return;
        last = performance.now();
        err.write(`gptoss: ${name} ${record.step}/${record.of} · ${loss} · ${rate} · ${left}\n`);
      },
      stop() {},
    };
  }
  const bar = new SingleBar(
    {
      format: `${name} {bar} {value}/{total} · {loss} · {speed} · {left}`,
      ...{ hideCursor: true, stream: process.stderr, clearOnComplete: false },
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(record) {
      const payload = describe(record);
      if (started) bar.update(record.step, payload);
      else bar.start(record.of, record.step, payload);
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}
