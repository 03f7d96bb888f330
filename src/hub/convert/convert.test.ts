// Round trips between the containers: not one bit of a weight may change.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasShared, seedModel, sharedPath } from '../../../test/shared.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { decodeMatrix } from '../../formats/decode.ts';
import { convertCheckpoint } from './convert.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gptoss-convert-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every tensor of the file by name, as bytes. */
function contents(checkpoint: Checkpoint): Map<string, string> {
  return new Map(
    checkpoint.entries.map((e) => [
      e.name,
      `${e.dtype} ${e.shape.join('x')} ${Buffer.from(e.source.read(e.offset, e.length)).toString('base64')}`,
    ]),
  );
}

function opened<T>(path: string, fn: (checkpoint: Checkpoint) => T): T {
  const checkpoint = openCheckpoint(path);
  try {
    return fn(checkpoint);
  } finally {
    checkpoint.close();
  }
}

const tiny = seedModel;

describe('a conversion', () => {
  it('of the tiny model goes round through GGUF and original/ without changing a bit', () => {
    const steps = [
      ['gguf', join(folder, 'tiny.gguf')],
      ['original', join(folder, 'original-of-gguf')],
      ['gguf', join(folder, 'again.gguf')],
      ['huggingface', join(folder, 'hf')],
    ] as const;
    let from = tiny;
    for (const [to, path] of steps) {
      convertCheckpoint(from, path, { to });
      from = path;
    }
    const facts = (c: Checkpoint) => ({
      contents: contents(c),
      config: c.config,
      stop: c.stopIds,
      template: c.chatTemplate,
    });
    const before = opened(tiny, facts);
    const after = opened(join(folder, 'hf'), facts);
    expect(after.contents).toEqual(before.contents);
    expect(after.stop).toEqual(before.stop);
    expect(after.template).toBe(before.template);
    expect({ ...after.config, rmsEps: 0 }).toEqual({ ...before.config, rmsEps: 0 });
    expect(after.config.rmsEps).toBeCloseTo(before.config.rmsEps, 10);
    opened(tiny, (a) =>
      opened(join(folder, 'hf'), (b) => {
        expect(b.tokenizer!.special).toEqual(a.tokenizer!.special);
        expect(b.tokenizer!.tokens).toEqual(a.tokenizer!.tokens);
        expect(b.tokenizer!.merges).toEqual(a.tokenizer!.merges);
      }),
    );
  });

  it('can store matrices as Q8_0, near to what they were', () => {
    const path = join(folder, 'q8.gguf');
    convertCheckpoint(tiny, path, { to: 'gguf', dense: 'q8_0' });
    opened(tiny, (a) =>
      opened(path, (b) => {
        expect(b.tensors.embedding.dtype).toBe('q8_0');
        expect(b.tensors.layers[0].gate.dtype).toBe('mxfp4');
        const [x, y] = [a, b].map((c) => decodeMatrix(c.tensors.layers[1].q));
        let largest = 0;
        let worst = 0;
        for (let i = 0; i < x.length; i++) {
          largest = Math.max(largest, Math.abs(x[i]));
          worst = Math.max(worst, Math.abs(x[i] - y[i]));
        }
        expect(worst).toBeLessThan(largest / 200);
      }),
    );
  });

  it('leaves nothing behind when it is stopped or refused', () => {
    const stop = new AbortController();
    const path = join(folder, 'stopped');
    expect(() =>
      convertCheckpoint(tiny, path, {
        to: 'huggingface',
        signal: stop.signal,
        onProgress: (b) => b > 500_000 && stop.abort(),
      }),
    ).toThrow(/stopped/);
    expect(existsSync(path)).toBe(false);
    writeFileSync(join(folder, 'taken.gguf'), 'x');
    expect(() => convertCheckpoint(tiny, join(folder, 'taken.gguf'), { to: 'gguf' })).toThrow(/exists/);
    expect(() => convertCheckpoint(tiny, join(folder, 'n'), { to: 'original', dense: 'q8_0' })).toThrow(/only in GGUF/);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it.skipIf(!hasShared('fixtures', 'mini.gguf'))(
    'of every mini container gives the published Hugging Face bytes (needs ../shared)',
    () => {
      const wanted = opened(sharedPath('fixtures', 'mini-mxfp4'), contents);
      for (const name of ['mini.gguf', 'mini-original', 'mini-ollama-2025-08.gguf']) {
        const path = join(folder, `hf-${name}`);
        convertCheckpoint(sharedPath('fixtures', name), path, { to: 'huggingface' });
        expect(opened(path, contents), name).toEqual(wanted);
      }
    },
  );
});
