// Safetensors headers with every lie (field.md §6, group 7), and the writer.

import { describe, expect, it } from 'vitest';
import { memorySource } from './bytes.ts';
import { expectRefusal, openTinyFolder, RawBytes, safetensorsBytes, tinySafetensors } from './hostile.testing.ts';
import { entryIntegers, entryValues, readSafetensors } from './safetensors.ts';
import type { TensorToWrite } from './safetensors-write.ts';

const read = (bytes: Uint8Array) => readSafetensors(memorySource('x.safetensors', bytes));
const file = (header: string, data = 0): Uint8Array =>
  new RawBytes().u64(new TextEncoder().encode(header).length).text(header).zeros(data).done();
const one = (tensor: unknown, data = 8): Uint8Array => file(JSON.stringify({ t: tensor }), data);

describe('a safetensors header', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['of an empty file', new Uint8Array(0), /empty/],
    ['cut in its length', new Uint8Array(5), /only 5 bytes/],
    [
      'longer than the file',
      new RawBytes().u64(1000).text('{}').zeros(10).done(),
      /claims 1000 bytes; expected at most the 12/,
    ],
    [
      'of 2^63 bytes',
      new RawBytes()
        .u64(2n ** 63n)
        .text('{}')
        .done(),
      /claims 9\d{18} bytes/,
    ],
    ['above the cap', new RawBytes().u64(26_000_000).zeros(26_000_001).done(), /expected at most 25000000/],
    ['that is not JSON', file('{"t": '), /valid JSON/],
    ['that is not UTF-8', new RawBytes().u64(4).bytes(0x7b, 0xff, 0xfe, 0x7d).done(), /valid JSON/],
    ['that is a list', file('[]'), /not an object/],
    ['that is null', file('null'), /not an object/],
    ['nested 100,000 deep', file(`{"t":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), /not described by an object/],
    ['whose tensor is a number', one(5), /not described by an object/],
    ['with an unknown type', one({ dtype: 'F99', shape: [2], data_offsets: [0, 8] }), /"F99"/],
    [
      'with a type that is no string',
      one({ dtype: {}, shape: [2], data_offsets: [0, 8] }),
      /which safetensors does not define/,
    ],
    ['without a shape', one({ dtype: 'F32', data_offsets: [0, 8] }), /no valid shape/],
    ['with a negative dimension', one({ dtype: 'F32', shape: [-2], data_offsets: [0, 8] }), /not a whole number/],
    ['with a dimension of 1e300', one({ dtype: 'F32', shape: [1e300], data_offsets: [0, 8] }), /not a whole number/],
    [
      'with dimensions whose product overflows',
      one({ dtype: 'F32', shape: Array(8).fill(2 ** 50), data_offsets: [0, 8] }),
      /its type and shape need/,
    ],
    ['with nine dimensions', one({ dtype: 'F32', shape: Array(9).fill(1), data_offsets: [0, 4] }), /no valid shape/],
    [
      'whose offsets do not fit the shape',
      one({ dtype: 'F32', shape: [2], data_offsets: [0, 4] }),
      /claims 4 bytes; its type and shape need 8/,
    ],
    ['whose offsets run backwards', one({ dtype: 'F32', shape: [2], data_offsets: [8, 0] }), /claims -8/],
    ['whose offsets are strings', one({ dtype: 'F32', shape: [2], data_offsets: ['0', '8'] }), /no valid data_offsets/],
    ['whose tensor ends outside', one({ dtype: 'F32', shape: [4], data_offsets: [0, 16] }), /outside the file/],
    [
      'that leaves a gap in front',
      one({ dtype: 'F32', shape: [1], data_offsets: [4, 8] }),
      /expected 23?\d+|where the one before ends/,
    ],
    ['that leaves bytes at the end', one({ dtype: 'F32', shape: [1], data_offsets: [0, 4] }), /the end of the file/],
    ['whose metadata is a list', file('{"__metadata__":[]}'), /__metadata__ is not an object/],
    ['whose metadata holds a number', file('{"__metadata__":{"a":1}}'), /is not a string/],
  ])('%s is refused', (_, bytes, text) => expectRefusal(() => read(bytes), 'bad-checkpoint', text));

  it('with overlapping tensors, or one name twice, is refused', () => {
    const t = { dtype: 'F32', shape: [2] };
    expectRefusal(
      () => read(file(JSON.stringify({ a: { ...t, data_offsets: [0, 8] }, b: { ...t, data_offsets: [4, 12] } }), 12)),
      'bad-checkpoint',
      /begins at/,
    );
    const twice =
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}';
    expectRefusal(() => read(file(twice, 16)), 'bad-checkpoint', /begins at/);
  });

  it('with a __proto__ key changes nothing but its own table', () => {
    const header = '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    expect(read(file(header, 4)).entries[0].name).toBe('__proto__');
    expect(Object.hasOwn(Object.prototype, 'dtype')).toBe(false);
  });

  it('with a name full of control characters gives one printable line', () => {
    const header = JSON.stringify({ 'a\nb\u001b[31m': 5 });
    expectRefusal(() => read(file(header)), 'bad-checkpoint', /"a\?b\?\[31m"/);
  });
});

describe('a damaged safetensors checkpoint', () => {
  it('is refused at whatever byte it was cut', () => {
    const whole = safetensorsBytes();
    for (let cut = 0; cut < whole.length; cut += cut < 3000 ? 13 : 1013) {
      expectRefusal(() => openTinyFolder({ 'model.safetensors': whole.slice(0, cut) }), 'bad-checkpoint');
    }
  });

  it('is refused when a tensor is missing or has another shape or type', () => {
    const all = tinySafetensors();
    for (const t of all) {
      expectRefusal(
        () => openTinyFolder({ 'model.safetensors': safetensorsBytes(all.filter((x) => x !== t)) }),
        'bad-checkpoint',
      );
    }
    const changed = (name: string, change: Pick<TensorToWrite, 'dtype' | 'shape' | 'chunks'>): Uint8Array =>
      safetensorsBytes(all.map((t) => (t.name === name ? { name, ...change } : t)));
    const open = (bytes: Uint8Array) => () => openTinyFolder({ 'model.safetensors': bytes });
    const zeros = (n: number) => () => [new Uint8Array(n)];
    expectRefusal(
      open(changed('model.norm.weight', { dtype: 'BF16', shape: [65], chunks: zeros(130) })),
      'bad-checkpoint',
      /\[65\]; expected \[64\]/,
    );
    expectRefusal(
      open(changed('model.norm.weight', { dtype: 'I32', shape: [64], chunks: zeros(256) })),
      'unsupported-type',
      /type I32/,
    );
    expectRefusal(
      open(
        changed('model.layers.0.mlp.experts.down_proj_scales', { dtype: 'I8', shape: [4, 64, 1], chunks: zeros(256) }),
      ),
      'bad-checkpoint',
      /type I8; expected U8/,
    );
  });

  it('with a LoRA adapter in its place is refused', () => {
    const adapter = [
      { name: 'base_model.model.lora_A.weight', dtype: 'F32', shape: [1], chunks: () => [new Uint8Array(4)] },
    ];
    expectRefusal(() => openTinyFolder({ 'model.safetensors': safetensorsBytes(adapter) }), 'bad-checkpoint', /lora_A/);
  });
});

describe('writing safetensors', () => {
  it('gives back what was written, data aligned to 8 bytes', () => {
    const values = Float32Array.of(1, -2.5, 3e-40);
    const bytes = safetensorsBytes([
      {
        name: 'f',
        dtype: 'F32',
        shape: [3, 1],
        chunks: () => [new Uint8Array(values.buffer, 0, 5), new Uint8Array(values.buffer, 5)],
      },
      { name: 'i', dtype: 'I32', shape: [2], chunks: () => [new Uint8Array(Int32Array.of(-7, 8).buffer)] },
    ]);
    const { entries, metadata } = read(bytes);
    expect(metadata.get('format')).toBe('pt');
    expect(entries[0].offset % 8).toBe(0);
    expect(entryValues(entries[0])).toEqual(values);
    expect([...entryIntegers(entries[1])]).toEqual([-7, 8]);
    expectRefusal(() => entryValues(entries[1]), 'unsupported-type');
  });

  it('refuses a tensor that gives more or fewer bytes than its shape needs', () => {
    const t = (n: number): TensorToWrite[] => [
      { name: 't', dtype: 'F32', shape: [2], chunks: () => [new Uint8Array(n)] },
    ];
    expectRefusal(() => safetensorsBytes(t(7)), 'internal', /7 bytes; its shape needs 8/);
    expectRefusal(() => safetensorsBytes(t(9)), 'internal');
  });
});
