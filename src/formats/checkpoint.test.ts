// The same weights in several containers must open to the same model, bit for bit.

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import type { Checkpoint, LayerTensors } from './checkpoint.ts';
import { decodeMatrix, decodeRows } from './decode.ts';
import type { Matrix, Vector } from './tensor.ts';

const present = hasShared('fixtures', 'mini.gguf');
const fixture = (...parts: string[]): Checkpoint => openCheckpoint(sharedPath(...parts));

function matrixBits(m: Matrix): Uint32Array {
  const out = new Float32Array(m.experts * m.rows * m.cols);
  for (let e = 0; e < m.experts; e++) decodeRows(m, e, 0, m.rows, out, e * m.rows * m.cols);
  return new Uint32Array(out.buffer);
}

const isMatrix = (w: Matrix | Vector): w is Matrix => 'dtype' in w;
const bitsOf = (w: Matrix | Vector): Uint32Array => (isMatrix(w) ? matrixBits(w) : new Uint32Array(w.load().buffer));

function weights(c: Checkpoint): [string, Matrix | Vector][] {
  const { embedding, output, finalNorm, layers } = c.tensors;
  const named: [string, Matrix | Vector][] = [
    ['embedding', embedding],
    ['output', output],
    ['finalNorm', finalNorm],
  ];
  layers.forEach((layer, i) => {
    for (const key of Object.keys(layer) as (keyof LayerTensors)[]) named.push([`layer ${i} ${key}`, layer[key]]);
  });
  return named;
}

function expectSameWeights(a: Checkpoint, b: Checkpoint): void {
  const other = new Map(weights(b));
  for (const [name, w] of weights(a)) {
    const x = bitsOf(w);
    const y = bitsOf(other.get(name)!);
    expect(x.length, name).toBe(y.length);
    const at = x.findIndex((bits, i) => bits !== y[i]);
    expect(at, `${name}: first difference`).toBe(-1);
  }
}

describe.skipIf(!present)('checkpoints (golden files; skipped without ../shared)', () => {
  it.each([
    ['mini.gguf', 'gguf'],
    ['mini-original', 'safetensors-original'],
    ['mini-ollama-2025-08.gguf', 'gguf'],
  ])('%s holds the same bits and configuration as the Hugging Face layout', (name, format) => {
    const a = fixture('fixtures', 'mini-mxfp4');
    const b = fixture('fixtures', name);
    expect(a.format).toBe('safetensors');
    expect(b.format).toBe(format);
    expect(b.config).toEqual(a.config);
    expectSameWeights(a, b);
    a.close();
    b.close();
  });

  it('reads the trained tiny model alike from both of its files', () => {
    const a = fixture('models', 'seed-tiny');
    const b = fixture('models', 'seed-tiny', 'seed-tiny.gguf');
    expect(a.format).toBe('safetensors');
    expect(b.config).toEqual(a.config);
    expect(b.chatTemplate).toBe(a.chatTemplate);
    expect(a.stopIds).toEqual([1015, 1016, 1022]);
    expect(b.stopIds).toEqual(a.stopIds);
    expect(b.tokenizer!.tokens).toEqual(a.tokenizer!.tokens);
    expect(b.tokenizer!.merges).toEqual(a.tokenizer!.merges);
    expect([...b.tokenizer!.special].sort()).toEqual([...a.tokenizer!.special].sort());
    expectSameWeights(a, b);
    a.close();
    b.close();
  });

  it('finds the same vocabulary and stop tokens in every container', () => {
    const a = fixture('fixtures', 'mini-mxfp4');
    expect(a.stopIds).toEqual([300, 303, 313]);
    expect(a.tokenizer!.special.get('<|start|>')).toBe(307);
    expect(a.tokenizer!.tokens).toHaveLength(320);
    expect(a.tokenizer!.pattern).toContain('\\p{N}{1,3}');
    for (const name of ['mini.gguf', 'mini-q8.gguf', 'mini-ollama-2025-08.gguf']) {
      const b = fixture('fixtures', name);
      expect(b.stopIds).toEqual(a.stopIds);
      expect(b.tokenizer!.tokens).toEqual(a.tokenizer!.tokens);
      expect(b.tokenizer!.merges).toEqual(a.tokenizer!.merges);
      b.close();
    }
    a.close();
  });

  it('opens the whole set when given one shard', () => {
    const a = fixture('fixtures', 'mini-mxfp4', 'model-00001-of-00002.safetensors');
    expect(a.entries).toHaveLength(79);
    expect(a.sources).toHaveLength(3);
    a.close();
  });

  it('describes gate and up as strided views of the interleaved tensor, without a copy', () => {
    const a = fixture('fixtures', 'mini-mxfp4');
    const { gate, up } = a.tensors.layers[0];
    expect(gate.name).toBe(up.name);
    expect(up.offset - gate.offset).toBe(gate.rowStride / 2);
    expect(up.scales!.offset - gate.scales!.offset).toBe(gate.scales!.rowStride / 2);
    a.close();
  });

  it('reads dequantised experts, which are stored transposed', () => {
    const a = fixture('fixtures', 'mini-train');
    const { gate, up, down } = a.tensors.layers[1];
    const entry = a.entries.find((e) => e.name === gate.name)!;
    const raw = new Float32Array(entry.source.read(entry.offset, entry.length).slice().buffer);
    const [, inner, outer] = entry.shape; // [experts, in, 2 · intermediate]
    const expert = 2;
    const g = decodeMatrix(gate, expert);
    const u = decodeMatrix(up, expert);
    for (const [r, c] of [
      [0, 0],
      [5, 7],
      [31, 31],
    ]) {
      expect(g[r * gate.cols + c]).toBe(raw[(expert * inner + c) * outer + 2 * r]);
      expect(u[r * up.cols + c]).toBe(raw[(expert * inner + c) * outer + 2 * r + 1]);
    }
    const some = decodeRows(gate, expert, 3, 4);
    expect([...some]).toEqual([...g.subarray(3 * gate.cols, 7 * gate.cols)]);
    expect(decodeMatrix(down, 0)).toHaveLength(down.rows * down.cols);
    a.close();
  });

  it('closes its files, and says so when they are read afterwards', () => {
    const a = fixture('fixtures', 'mini.gguf');
    a.close();
    expect(() => a.tensors.finalNorm.load()).toThrow(/closed/);
  });
});

describe.skipIf(!present)('finding the files (golden files; skipped without ../shared)', () => {
  const root = mkdtempSync(join(tmpdir(), 'gptoss-open-'));
  afterAll(() => rmSync(root, { recursive: true }));

  it('goes by content, not by name', () => {
    const path = join(root, 'sha256-0123');
    copyFileSync(sharedPath('fixtures', 'mini.gguf'), path);
    const a = openCheckpoint(path);
    expect(a.format).toBe('gguf');
    a.close();
  });

  it('opens a folder that holds one GGUF file', () => {
    const folder = join(root, 'one');
    mkdirSync(folder);
    copyFileSync(sharedPath('fixtures', 'mini.gguf'), join(folder, 'weights.bin'));
    const a = openCheckpoint(folder);
    expect(a.name).toBe('Mini gpt-oss fixture');
    a.close();
    copyFileSync(sharedPath('fixtures', 'mini-q8.gguf'), join(folder, 'other.gguf'));
    expect(() => openCheckpoint(folder)).toThrow(/2 GGUF models.*give the path of the file/);
  });

  it('opens a folder whose weights are in original/', () => {
    const folder = join(root, 'whole');
    mkdirSync(join(folder, 'original'), { recursive: true });
    for (const name of ['config.json', 'model.safetensors'])
      copyFileSync(sharedPath('fixtures', 'mini-original', name), join(folder, 'original', name));
    copyFileSync(sharedPath('fixtures', 'mini-mxfp4', 'tokenizer.json'), join(folder, 'tokenizer.json'));
    const a = openCheckpoint(folder);
    expect(a.format).toBe('safetensors-original');
    expect(a.name).toBe('whole');
    expect(a.stopIds).toEqual([300, 303, 313]);
    a.close();
  });

  it("follows the links of Hugging Face's cache and names the model by its repository", () => {
    const snapshot = join(root, 'models--openai--gpt-oss-mini', 'snapshots', '0a1b2c');
    mkdirSync(snapshot, { recursive: true });
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json'])
      symlinkSync(sharedPath('models', 'seed-tiny', name), join(snapshot, name));
    const a = openCheckpoint(snapshot);
    expect(a.name).toBe('openai/gpt-oss-mini');
    a.close();
  });
});
