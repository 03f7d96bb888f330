// Stand-ins have the published sizes, and what is written opens again.

import { describe, expect, it } from 'vitest';
import { bytesToAlphabet } from '../../src/formats/byte-alphabet.ts';
import { type MemorySink, memorySink } from '../../src/formats/bytes.ts';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import type { ModelConfig } from '../../src/formats/config.ts';
import { decodeMatrix } from '../../src/formats/decode.ts';
import { ggufTensorBytes } from '../../src/formats/gguf-write.ts';
import { memoryFolder } from '../../src/formats/memory-folder.ts';
import { openCheckpointIn } from '../../src/formats/open.ts';
import { publishedModels } from '../../src/formats/published.ts';
import { tensorBytes } from '../../src/formats/safetensors-write.ts';
import type { DType } from '../../src/formats/tensor.ts';
import { ggufFields, writeGgufStandIn } from './gguf.ts';
import { writeHuggingFaceStandIn } from './huggingface.ts';
import { ggufTensorPlan, huggingFaceTensorPlan } from './tensors.ts';
import { o200kHarmony, specialNames, type Vocabulary } from './vocabulary.ts';
import { WeightSource } from './weights.ts';

const tiny: ModelConfig = {
  ...publishedModels['gpt-oss-20b'],
  layers: 2,
  sliding: [true, false],
  hidden: 64,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  experts: 4,
  expertsPerToken: 2,
  intermediate: 96,
  vocab: 300,
};

const bytesOnly: Vocabulary = {
  tokens: Array.from({ length: 256 }, (_, byte) => bytesToAlphabet(Uint8Array.of(byte))),
  special: specialNames.map((content, i) => ({ id: 256 + i, content })),
  merges: [],
};

function deviation(values: Float32Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
}

function expectHealthy(c: Checkpoint): void {
  const layer = c.tensors.layers[1];
  for (const m of [layer.q, layer.router, layer.gate, layer.up, layer.down]) {
    const d = deviation(decodeMatrix(m));
    expect(d, m.name).toBeGreaterThan(0.01);
    expect(d, m.name).toBeLessThan(0.04);
  }
  const gains = layer.attnNorm.load();
  expect(gains.every((g) => g > 0.7 && g < 1.3)).toBe(true);
}

describe('stand-ins', () => {
  it('have the published number of tensors and bytes', () => {
    const gguf = (name: 'gpt-oss-20b' | 'gpt-oss-120b') => {
      const plan = ggufTensorPlan(publishedModels[name]);
      const bytes = plan.map((t) => ggufTensorBytes({ dtype: t.stored as DType, shape: t.shape }));
      return [plan.length, bytes.reduce((a, b) => a + b, 0)];
    };
    const hf = (name: 'gpt-oss-20b' | 'gpt-oss-120b') => {
      const plan = huggingFaceTensorPlan(publishedModels[name]);
      const bytes = plan.map((t) => tensorBytes({ dtype: t.stored === 'bf16' ? 'BF16' : 'U8', shape: t.shape }));
      return [plan.length, bytes.reduce((a, b) => a + b, 0)];
    };
    expect(gguf('gpt-oss-20b')).toEqual([459, 12_096_558_336]);
    expect(gguf('gpt-oss-120b')).toEqual([687, 63_374_323_968]);
    expect(hf('gpt-oss-20b')).toEqual([459, 13_761_264_768]);
    expect(hf('gpt-oss-120b')).toEqual([687, 65_248_815_744]);
  });

  it('list all 446,189 merges of o200k', () => {
    const { tokens, merges, special } = o200kHarmony();
    expect(tokens).toHaveLength(199_998);
    expect(merges).toHaveLength(446_189);
    expect(merges[0]).toEqual(['Ġ', 'Ġ']);
    expect(special.find((s) => s.id === 200_012)?.content).toBe('<|call|>');
  });

  it('open again from GGUF', () => {
    const sink = memorySink();
    writeGgufStandIn(sink, tiny, ggufFields('tiny stand-in', tiny, bytesOnly, 'T'), new WeightSource(1, 1 << 18));
    const c = openCheckpointIn(memoryFolder('m', new Map([['tiny.gguf', sink.bytes()]])));
    expect(c.config).toEqual(tiny);
    expect(c.name).toBe('tiny stand-in');
    expect(c.stopIds).toEqual([257, 260, 270]);
    expect(c.tokenizer!.tokens.filter((t) => t !== null)).toHaveLength(256);
    expectHealthy(c);
  });

  it('open again from a Hugging Face folder', () => {
    const sinks = new Map<string, MemorySink>();
    const create = (name: string): MemorySink => {
      const sink = memorySink();
      sinks.set(name, sink);
      return sink;
    };
    writeHuggingFaceStandIn(create, tiny, bytesOnly, 'T', new WeightSource(1, 1 << 18));
    const c = openCheckpointIn(memoryFolder('m', new Map([...sinks].map(([name, sink]) => [name, sink.bytes()]))));
    expect(c.config).toEqual(tiny);
    expect(c.chatTemplate).toBe('T');
    expect(c.tokenizer!.special.get('<|start|>')).toBe(264);
    expectHealthy(c);
  });

  it('are the same for the same seed and differ for another', () => {
    const bytes = (seed: number): Uint8Array => {
      const sink = memorySink();
      writeGgufStandIn(sink, tiny, new Map(), new WeightSource(seed, 1 << 16));
      return sink.bytes();
    };
    const first = bytes(1);
    expect(Buffer.compare(first, bytes(1))).toBe(0);
    expect(Buffer.compare(first, bytes(2))).not.toBe(0);
  });
});
