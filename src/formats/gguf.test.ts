// GGUF files with every lie that has hurt another loader (field.md §6, groups 1–6), and the writer against two readers.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gguf as oracle } from '@huggingface/gguf';
import { afterAll, describe, expect, it } from 'vitest';
import { memorySource } from './bytes.ts';
import { type GgufArray, readGguf } from './gguf.ts';
import { copyField, type FieldToWrite, type GgufTensorToWrite } from './gguf-write.ts';
import { expectRefusal, ggufBytes, openBytes, RawBytes, tinyGgufFields, tinyGgufTensors } from './hostile.testing.ts';
import { memoryFolder } from './memory-folder.ts';
import { openCheckpointIn } from './open.ts';

const read = (bytes: Uint8Array) => readGguf(memorySource('x.gguf', bytes));
const start = (tensors: number | bigint, fields: number | bigint, version = 3): RawBytes =>
  new RawBytes().text('GGUF').u32(version).u64(tensors).u64(fields);
/** A file with one metadata field whose type and value are given raw. */
const oneField = (key: string, type: number): RawBytes => start(0, 1).string(key).u32(type);
const oneTensor = (name: string, dims: (number | bigint)[], type: number, offset: number | bigint): RawBytes => {
  const raw = start(1, 0).string(name).u32(dims.length);
  for (const d of dims) raw.u64(d);
  return raw.u32(type).u64(offset);
};

describe('a GGUF file that is not one', () => {
  it.each([
    ['empty', new Uint8Array(0), /empty/],
    ['magic only', new RawBytes().text('GGUF').done(), /ends inside the version/],
    ['another magic', new RawBytes().text('GGML').zeros(100).done(), /does not begin with "GGUF"/],
    ['version 0', start(0, 0, 0).done(), /version 0/],
    ['version 1', start(0, 0, 1).done(), /version 1/],
    ['version 4', start(0, 0, 4).done(), /version 4/],
    ['big-endian', start(0, 0, 0x03000000).done(), /big-endian/],
  ])('%s', (_, bytes, text) => expectRefusal(() => read(bytes), 'bad-checkpoint', text));
});

describe('counts and lengths in a GGUF file', () => {
  const huge = 2n ** 64n - 1n;
  it.each([
    ['2^64 − 1 fields', start(0, huge).zeros(100).done(), /2\^53 or more/],
    ['2^64 − 1 tensors', start(huge, 0).zeros(100).done(), /2\^53 or more/],
    [
      '2^40 fields',
      start(0, 2 ** 40)
        .zeros(100)
        .done(),
      /more than fit/,
    ],
    [
      '2^40 tensors',
      start(2 ** 40, 0)
        .zeros(100)
        .done(),
      /more than fit/,
    ],
    [
      'key of 2^63 bytes',
      start(0, 1)
        .u64(2n ** 63n)
        .zeros(100)
        .done(),
      /2\^53 or more/,
    ],
    [
      'key of 1 MB',
      start(0, 1)
        .u64(1 << 20)
        .zeros(1 << 21)
        .done(),
      /at most 65535/,
    ],
    ['key beyond the end', start(0, 1).u64(200).zeros(100).done(), /only 100 follow/],
    [
      'string of 2^63 bytes',
      oneField('a', 8)
        .u64(2n ** 63n)
        .zeros(100)
        .done(),
      /2\^53 or more/,
    ],
    ['string beyond the end', oneField('a', 8).u64(1e12).zeros(100).done(), /only 100 follow/],
    [
      'array of 2^63 elements',
      oneField('a', 9)
        .u32(4)
        .u64(2n ** 63n)
        .zeros(100)
        .done(),
      /2\^53 or more/,
    ],
    ['array beyond the end', oneField('a', 9).u32(10).u64(13).zeros(100).done(), /claims 13 elements/],
    ['string array beyond the end', oneField('a', 9).u32(8).u64(2).string('x').u64(99).zeros(20).done(), /ends inside/],
    ['array of arrays', oneField('a', 9).u32(9).u64(1).zeros(100).done(), /array of arrays/],
    ['unknown value type', oneField('a', 13).zeros(100).done(), /unknown value type 13/],
    ['unknown element type', oneField('a', 9).u32(77).u64(1).zeros(100).done(), /unknown value type 77/],
    ['empty key', oneField('', 4).zeros(100).done(), /key is empty/],
    ['key that is not UTF-8', start(0, 1).u64(2).bytes(0xc3, 0x28).zeros(100).done(), /not valid UTF-8/],
    ['key twice', start(0, 2).string('a').u32(4).u32(1).string('a').u32(4).u32(1).zeros(100).done(), /occurs twice/],
  ])('%s', (_, bytes, text) => expectRefusal(() => read(bytes), 'bad-checkpoint', text));

  it.each([0, 13, 2 ** 31])('alignment %i', (n) => {
    expectRefusal(
      () => read(oneField('general.alignment', 4).u32(n).zeros(64).done()),
      'bad-checkpoint',
      /power of two/,
    );
  });

  it('alignment of another type', () => {
    expectRefusal(
      () => read(oneField('general.alignment', 10).u64(32).zeros(64).done()),
      'bad-checkpoint',
      /u64.*expected a u32/,
    );
    expectRefusal(
      () => read(oneField('general.alignment', 8).string('32').zeros(64).done()),
      'bad-checkpoint',
      /expected a u32/,
    );
  });
});

describe('the tensor table of a GGUF file', () => {
  const max = 0x7fffffffffffffc0n;
  it.each([
    ['no dimensions', oneTensor('t', [], 0, 0).zeros(100).done(), /0 dimensions/],
    ['99 dimensions', start(1, 0).string('t').u32(99).zeros(2000).done(), /99 dimensions/],
    ['a dimension of 0', oneTensor('t', [0], 0, 0).zeros(100).done(), /dimension of 0/],
    ['two dimensions of 2^62', oneTensor('t', [max, max], 0, 0).zeros(100).done(), /2\^53 or more/],
    [
      'a product beyond 2^53',
      oneTensor('t', [2 ** 30, 2 ** 30], 0, 0)
        .zeros(100)
        .done(),
      /more values than any file/,
    ],
    ['a name of 64 bytes', oneTensor('n'.repeat(64), [1], 0, 0).zeros(100).done(), /at most 63/],
    ['an empty name', oneTensor('', [1], 0, 0).zeros(100).done(), /empty name/],
    ['an unknown type', oneTensor('t', [32], 99, 0).zeros(100).done(), /type id 99/],
    ['type 4 outside gpt-oss', oneTensor('t', [32], 4, 0).zeros(100).done(), /type id 4/],
    ['rows that are no whole groups', oneTensor('t', [33], 8, 0).zeros(100).done(), /multiple of 32/],
    ['a misaligned offset', oneTensor('t', [4], 0, 4).zeros(100).done(), /not a multiple of 32/],
    [
      'an offset beyond the end',
      oneTensor('t', [4], 0, 1 << 20)
        .zeros(100)
        .done(),
      /outside the file/,
    ],
    [
      'an offset of 2^63',
      oneTensor('t', [4], 0, 2n ** 63n)
        .zeros(100)
        .done(),
      /2\^53 or more/,
    ],
    ['data beyond the end', oneTensor('t', [1000], 0, 0).zeros(100).done(), /outside the file/],
  ])('%s', (_, bytes, text) => expectRefusal(() => read(bytes), 'bad-checkpoint', text));

  it('a type that exists but that no gpt-oss uses is named', () => {
    expectRefusal(() => read(oneTensor('t', [256], 18, 0).zeros(200).done()), 'unsupported-type', /IQ3_XXS/);
  });

  it('two tensors of one name, or over the same bytes', () => {
    const two = (a: string, b: string, second: number): Uint8Array =>
      start(2, 0).string(a).u32(1).u64(16).u32(0).u64(0).string(b).u32(1).u64(16).u32(0).u64(second).zeros(200).done();
    expectRefusal(() => read(two('a', 'a', 64)), 'bad-checkpoint', /occurs twice/);
    expectRefusal(() => read(two('a', 'b', 32)), 'bad-checkpoint', /overlap/);
    expect(read(two('a', 'b', 64)).entries).toHaveLength(2);
  });
});

describe('a damaged gpt-oss GGUF', () => {
  it('is refused at whatever byte it was cut', () => {
    const whole = ggufBytes();
    openBytes(whole).tokenizer;
    for (let cut = 0; cut < whole.length - 32; cut += cut < 9000 ? 7 : 1009) {
      expectRefusal(() => openBytes(whole.slice(0, cut)), 'bad-checkpoint');
    }
  });

  it('is refused when a tensor is missing, has another shape, or cannot be a weight', () => {
    const tensors = tinyGgufTensors();
    for (const t of tensors) {
      expectRefusal(
        () =>
          openBytes(
            ggufBytes(
              tinyGgufFields(),
              tensors.filter((x) => x !== t),
            ),
          ),
        'bad-checkpoint',
        /missing/,
      );
    }
    const changed = (name: string, change: Partial<GgufTensorToWrite>): Uint8Array =>
      ggufBytes(
        tinyGgufFields(),
        tensors.map((t) => {
          if (t.name !== name) return t;
          const next = { ...t, ...change };
          return { ...next, chunks: () => [new Uint8Array(next.shape.reduce((a, b) => a * b, 4))] };
        }),
      );
    expectRefusal(
      () => openBytes(changed('blk.0.attn_q.weight', { dtype: 'f32', shape: [32, 64] })),
      'bad-checkpoint',
      /\[32, 64\]; expected \[64, 64\]/,
    );
    expectRefusal(
      () => openBytes(changed('token_embd.weight', { dtype: 'f32', shape: [100, 64] })),
      ['bad-checkpoint', 'bad-tokenizer'],
    );
    expectRefusal(
      () => openBytes(changed('token_embd.weight', { dtype: 'f32', shape: [288] })),
      'bad-checkpoint',
      /not a matrix/,
    );
  });

  it.each<[string, FieldToWrite, RegExp]>([
    ['general.architecture', { type: 'string', value: 'llama' }, /"llama"/],
    ['gpt-oss.block_count', { type: 'u32', value: 0 }, /number of layers is 0/],
    ['gpt-oss.block_count', { type: 'u32', value: 4_000_000_000 }, /number of layers/],
    ['gpt-oss.block_count', { type: 'string', value: '1' }, /not a finite number/],
    ['gpt-oss.attention.head_count', { type: 'u32', value: 0 }, /number of heads is 0/],
    ['gpt-oss.attention.head_count', { type: 'i32', value: -4 }, /number of heads is -4/],
    ['gpt-oss.attention.head_count_kv', { type: 'u32', value: 3 }, /cannot share/],
    ['gpt-oss.attention.key_length', { type: 'u32', value: 15 }, /odd/],
    ['gpt-oss.expert_used_count', { type: 'u32', value: 5 }, /5 experts per token of only 4/],
    ['gpt-oss.rope.freq_base', { type: 'f32', value: Number.NaN }, /not a finite number/],
    [
      'gpt-oss.attention.layer_norm_rms_epsilon',
      { type: 'f32', value: Number.POSITIVE_INFINITY },
      /not a finite number/,
    ],
    ['gpt-oss.attention.sliding_window', { type: 'u32', value: 0 }, /sliding window is 0/],
    ['gpt-oss.attention.sliding_window_pattern', { type: 'array', element: 'u8', values: [1, 0, 1] }, /pattern/],
    ['gpt-oss.context_length', { type: 'u64', value: 2n ** 63n }, /not a finite number/],
    ['gpt-oss.embedding_length', { type: 'u32', value: 128 }, /shape/],
  ])('is refused with %s wrong (case %#)', (key, field, text) => {
    const bytes = ggufBytes(new Map([...tinyGgufFields(), [key, field]]));
    expectRefusal(() => openBytes(bytes), 'bad-checkpoint', text);
  });

  it('says which weights hold NaN or infinity when they are loaded', () => {
    const bytes = ggufBytes(
      tinyGgufFields(),
      tinyGgufTensors().map((t) =>
        t.name === 'output_norm.weight' ? { ...t, chunks: () => [new Uint8Array(256).fill(0xff)] } : t,
      ),
    );
    expectRefusal(() => openBytes(bytes).tensors.finalNorm.load(), 'bad-checkpoint', /"output_norm.weight" holds NaN/);
  });
});

describe('the vocabulary in a GGUF file', () => {
  const withTokens = (change: (tokens: string[], types: number[]) => unknown): Uint8Array => {
    const fields = tinyGgufFields();
    const tokens = [...(fields.get('tokenizer.ggml.tokens') as unknown as { values: string[] }).values];
    const types = [...(fields.get('tokenizer.ggml.token_type') as unknown as { values: number[] }).values];
    change(tokens, types);
    fields.set('tokenizer.ggml.tokens', { type: 'array', element: 'string', values: tokens });
    fields.set('tokenizer.ggml.token_type', { type: 'array', element: 'i32', values: types });
    return ggufBytes(fields);
  };

  it.each<[string, (tokens: string[], types: number[]) => unknown, RegExp]>([
    ['two tokens of the same bytes', (t) => (t[7] = t[8]), /tokens 7 and 8 are the same/],
    ['a byte that no token stands for', (t) => (t[7] = 'zzz'), /no token stands for byte/],
    [
      'more tokens than the embedding has rows',
      (t, y) => t.push(...Array(50).fill('ab')) + y.push(...Array(50).fill(1)),
      /288 rows/,
    ],
    ['an empty token', (t) => (t[9] = ''), /token 9 is empty/],
    ['a byte token', (t, y) => t.push('<0x-1>') + y.push(6), /type 6/],
    ['a special token twice', (t) => (t[257] = t[256]), /occurs twice/],
    ['too few types', (_, y) => y.pop(), /does not have 265 numbers/],
  ])('is refused with %s', (_, change, text) => {
    const c = openBytes(withTokens(change));
    expectRefusal(() => c.tokenizer, 'bad-tokenizer', text);
    expectRefusal(() => c.stopIds, 'bad-tokenizer');
  });

  it('may leave rows of the embedding unused, and never stops at <|end|>', () => {
    const c = openBytes(withTokens((t, y) => t.push('[PAD265]', '[PAD266]') + y.push(5, 5)));
    expect(c.tokenizer!.tokens[265]).toBeNull();
    expect(c.tokenizer!.tokens).toHaveLength(288);
    expect(c.stopIds).toEqual([257, 258, 264]);
    const fields = new Map([
      ...tinyGgufFields(),
      ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 262 } as FieldToWrite],
    ]);
    expect(openBytes(ggufBytes(fields)).stopIds).toEqual([257, 258, 264]);
  });

  it('refuses merges that are no pairs, when they are asked for', () => {
    const fields = new Map([
      ...tinyGgufFields(),
      ['tokenizer.ggml.merges', { type: 'array', element: 'string', values: ['ab'] } as FieldToWrite],
    ]);
    const c = openBytes(ggufBytes(fields));
    expectRefusal(() => c.tokenizer!.merges, 'bad-tokenizer', /"ab" has no space/);
  });
});

describe('split GGUF sets', () => {
  const tensors = tinyGgufTensors();
  const u16 = (value: number): FieldToWrite => ({ type: 'u16', value });
  const part = (no: number, count: number, own: GgufTensorToWrite[], total = tensors.length): Uint8Array => {
    const fields = new Map<string, FieldToWrite>([
      ...(no === 0 ? tinyGgufFields() : []),
      ['split.no', u16(no)],
      ['split.count', u16(count)],
      ['split.tensors.count', { type: 'i32', value: total }],
    ]);
    return ggufBytes(fields, own);
  };
  const parts = [part(0, 3, []), part(1, 3, tensors.slice(0, 9)), part(2, 3, tensors.slice(9))];
  const name = (i: number): string => `m-0000${i + 1}-of-00003.gguf`;
  const folder = (...bytes: (Uint8Array | null)[]) =>
    memoryFolder('f', new Map(bytes.flatMap((b, i) => (b === null ? [] : [[name(i), b] as const]))));

  it('open by folder or by any part, with the same weights as one file', () => {
    const single = openBytes(ggufBytes());
    for (const file of [null, name(0), name(2)]) {
      const c = openCheckpointIn(folder(...parts), file);
      expect(c.config).toEqual(single.config);
      expect(c.entries).toHaveLength(tensors.length);
      expect(c.tensors.layers[0].qBias.load()).toEqual(single.tensors.layers[0].qBias.load());
      expect(c.tokenizer!.special).toEqual(single.tokenizer!.special);
    }
  });

  it('are refused when a part is missing, doubled, mixed up or renamed', () => {
    expectRefusal(
      () => openCheckpointIn(folder(parts[0], parts[1], null)),
      'not-found',
      /m-00003-of-00003.gguf is missing/,
    );
    expectRefusal(
      () => openCheckpointIn(folder(null, parts[1], parts[2])),
      'not-found',
      /m-00001-of-00003.gguf is missing/,
    );
    expectRefusal(() => openCheckpointIn(folder(parts[0], parts[1], parts[1])), 'bad-checkpoint', /not part 3 of 3/);
    expectRefusal(
      () => openCheckpointIn(folder(parts[0], parts[1], part(2, 3, tensors.slice(8)))),
      'bad-checkpoint',
      /hold 23 tensors/,
    );
    expectRefusal(
      () => openCheckpointIn(folder(parts[0], parts[1], part(2, 3, tensors.slice(8)).slice()), name(0)),
      'bad-checkpoint',
    );
    expectRefusal(
      () => openCheckpointIn(folder(part(0, 3, [], 23), parts[1], part(2, 3, tensors.slice(8)))),
      'bad-checkpoint',
      /two of its parts/,
    );
    expectRefusal(
      () => openCheckpointIn(memoryFolder('f', new Map([['x.gguf', parts[0]]]))),
      'bad-checkpoint',
      /part 1 of 3 by its content/,
    );
    expectRefusal(
      () => openCheckpointIn(memoryFolder('f', new Map([['x.gguf', part(7, 3, [])]]))),
      'bad-checkpoint',
      /part 7 of 3/,
    );
    expectRefusal(
      () => openCheckpointIn(memoryFolder('f', new Map([['x.gguf', part(0, 60000, [])]]))),
      'bad-checkpoint',
      /60000 parts/,
    );
  });
});

describe('writing GGUF', () => {
  const root = mkdtempSync(join(tmpdir(), 'gptoss-gguf-'));
  afterAll(() => rmSync(root, { recursive: true }));

  it('is read alike by @huggingface/gguf', async () => {
    const path = join(root, 'tiny.gguf');
    const bytes = ggufBytes();
    writeFileSync(path, bytes);
    const ours = read(bytes);
    const theirs = await oracle(path, { allowLocalFile: true });
    expect(
      theirs.tensorInfos.map((t) => [t.name, t.shape.map(Number).reverse(), Number(t.offset) + ours.dataStart]),
    ).toEqual(ours.entries.map((e) => [e.name, e.shape, e.offset]));
    for (const [key, field] of ours.fields) {
      const value: unknown =
        typeof field.value === 'object'
          ? field.value.type === 'string'
            ? field.value.strings()
            : [...field.value.numbers()]
          : field.value;
      expect((theirs.metadata as Record<string, unknown>)[key], key).toEqual(value);
    }
  });

  it('copies fields of every type as they are', () => {
    const fields = new Map<string, FieldToWrite>([
      ['u8', { type: 'u8', value: 255 }],
      ['i8', { type: 'i8', value: -128 }],
      ['u16', { type: 'u16', value: 65535 }],
      ['i16', { type: 'i16', value: -32768 }],
      ['i32', { type: 'i32', value: -(2 ** 31) }],
      ['u64', { type: 'u64', value: 2n ** 64n - 1n }],
      ['i64', { type: 'i64', value: -5 }],
      ['f64', { type: 'f64', value: Math.PI }],
      ['yes', { type: 'bool', value: true }],
      ['text', { type: 'string', value: 'Grüße 😀' }],
      ['numbers', { type: 'array', element: 'i16', values: [1, -2, 3] }],
      ['texts', { type: 'array', element: 'string', values: ['', 'ä', 'x y'] }],
    ]);
    const once = ggufBytes(fields, []);
    const file = read(once);
    const twice = ggufBytes(new Map([...file.fields].map(([key, field]) => [key, copyField(field)])), []);
    expect(Buffer.compare(once, twice)).toBe(0);
    expect(file.fields.get('u64')!.value).toBe(2n ** 64n - 1n);
    expect((file.fields.get('texts')!.value as GgufArray).strings()).toEqual(['', 'ä', 'x y']);
    expect([...(file.fields.get('numbers')!.value as GgufArray).numbers()]).toEqual([1, -2, 3]);
    expectRefusal(() => (file.fields.get('numbers')!.value as GgufArray).strings(), 'bad-checkpoint');
    expectRefusal(() => (file.fields.get('texts')!.value as GgufArray).numbers(), 'bad-checkpoint');
  });
});
