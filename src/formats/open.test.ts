// Configurations, vocabularies and folders: what fine-tunes do must open, what cannot be right must not (field.md §6,
// groups 8, 9 and 12).

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from './checkpoint.node.ts';
import { decodeMatrix } from './decode.ts';
import { createFile, openFile } from './file.node.ts';
import {
  expectRefusal,
  ggufBytes,
  openTinyFolder,
  safetensorsBytes,
  tinyConfigJson,
  tinyFolder,
  tinySafetensors,
  tinyTokenizerJson,
  utf8,
} from './hostile.testing.ts';
import { memoryFolder } from './memory-folder.ts';
import { openCheckpointIn } from './open.ts';

const config = (changes: Record<string, unknown>): Record<string, unknown> => {
  const json = { ...tinyConfigJson(), ...changes };
  for (const key of Object.keys(json)) if (json[key] === undefined) delete json[key];
  return json;
};

describe('config.json of fine-tunes', () => {
  const usual = openTinyFolder().config;

  it.each<[string, Record<string, unknown>]>([
    ['no layer_types', { layer_types: undefined }],
    ['layer_types as the rule gives them', { layer_types: ['sliding_attention'] }],
    ['num_experts for num_local_experts', { num_local_experts: undefined, num_experts: 4 }],
    ['experts_per_token for num_experts_per_tok', { num_experts_per_tok: undefined, experts_per_token: 2 }],
    [
      'rope_parameters with rope_theta inside',
      {
        rope_scaling: undefined,
        rope_theta: undefined,
        rope_parameters: { ...(tinyConfigJson()['rope_scaling'] as object), rope_theta: 150000 },
      },
    ],
    [
      'no original context but initial_context_length',
      { rope_scaling: { rope_type: 'yarn', factor: 4 }, initial_context_length: 64 },
    ],
    ['no model_type', { model_type: undefined }],
    ['truncate stated', { rope_scaling: { ...(tinyConfigJson()['rope_scaling'] as object), truncate: true } }],
    ['explicit nulls', { layer_types: null, num_experts: null }],
  ])('opens with %s', (_, changes) => {
    expect(openTinyFolder({ 'config.json': config(changes) }).config).toEqual(usual);
  });

  it('reads layer types as they are listed', () => {
    expect(openTinyFolder({ 'config.json': config({ layer_types: ['full_attention'] }) }).config.sliding).toEqual([
      false,
    ]);
  });

  it('without rope scaling has factor 1', () => {
    const { rope } = openTinyFolder({ 'config.json': config({ rope_scaling: null }) }).config;
    expect(rope).toEqual({ factor: 1, originalContext: 256, betaFast: 32, betaSlow: 1 });
  });

  it('opens when it says that embedding and output are tied', () => {
    const tensors = tinySafetensors().filter((t) => t.name !== 'lm_head.weight');
    const c = openTinyFolder({
      'model.safetensors': safetensorsBytes(tensors),
      'config.json': config({ tie_word_embeddings: true }),
    });
    expect(c.tensors.output).toEqual(c.tensors.embedding);
  });
});

describe('a configuration that cannot be right', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['another architecture', { model_type: 'llama' }, /"llama"/],
    ['a missing size', { hidden_size: undefined }, /hidden_size is missing/],
    ['a size that is a string', { hidden_size: '64' }, /not a finite number/],
    ['a context of 1e300', { max_position_embeddings: 1e300 }, /context length is 1e\+300/],
    ['half a layer', { num_hidden_layers: 0.5 }, /number of layers is 0.5/],
    ['2^31 layers', { num_hidden_layers: 2 ** 31 }, /not 1 to 1024/],
    ['heads that key-value heads do not divide', { num_key_value_heads: 3 }, /cannot share/],
    ['no head', { num_attention_heads: 0 }, /number of heads/],
    ['an odd head dimension', { head_dim: 15 }, /odd/],
    ['more experts per token than experts', { num_experts_per_tok: 5 }, /5 experts per token of only 4/],
    ['a vocabulary that the embedding does not have', { vocab_size: 300 }, /\[288, 64\]; expected \[300, 64\]/],
    ['another number of experts', { num_local_experts: 8 }, /shape/],
    ['another hidden size', { hidden_size: 96 }, /shape/],
    ['a hidden size that is no whole number of groups', { intermediate_size: 33 }, /shape|multiple of 32/],
    ['layer types of another length', { layer_types: ['full_attention', 'sliding_attention'] }, /layer_types/],
    ['a layer type nobody knows', { layer_types: ['chunked_attention'] }, /layer_types/],
    ['another rope', { rope_scaling: { rope_type: 'llama3', factor: 4 } }, /"llama3"/],
    ['a rope factor below 1', { rope_scaling: { rope_type: 'yarn', factor: 0.5 } }, /factor is 0.5/],
    ['rope scaling that is a list', { rope_scaling: [1] }, /not an object/],
    ['theta 0', { rope_theta: 0 }, /theta/],
    ['a negative epsilon', { rms_norm_eps: -1 }, /epsilon/],
    ['no window', { sliding_window: 0 }, /sliding window/],
    ['swiglu limit 0', { swiglu_limit: 0 }, /swiglu limit/],
  ])('%s', (_, changes, text) => {
    expectRefusal(() => openTinyFolder({ 'config.json': config(changes) }), 'bad-checkpoint', text);
  });

  it('text that is no JSON, or no object', () => {
    expectRefusal(
      () => openTinyFolder({ 'config.json': utf8('{') }),
      'bad-checkpoint',
      /config.json does not hold valid JSON/,
    );
    expectRefusal(() => openTinyFolder({ 'config.json': utf8('[]') }), 'bad-checkpoint', /not an object/);
    const infinite = JSON.stringify(tinyConfigJson()).replace('150000', '1e999');
    expectRefusal(
      () => openTinyFolder({ 'config.json': utf8(infinite) }),
      'bad-checkpoint',
      /rope_theta is not a finite/,
    );
    expectRefusal(() => openTinyFolder({ 'config.json': utf8('7') }), 'bad-checkpoint', /not an object/);
    expectRefusal(
      () => openTinyFolder({ 'config.json': new Uint8Array(17 << 20).fill(32) }),
      'bad-checkpoint',
      /expected at most/,
    );
  });
});

describe('tokenizer.json', () => {
  const tokenizer = (
    change: (json: Record<string, unknown>, vocab: Record<string, unknown>) => void,
  ): Record<string, unknown> => {
    const json = structuredClone(tinyTokenizerJson());
    change(json, (json['model'] as Record<string, Record<string, unknown>>)['vocab']);
    return json;
  };

  it('gives bytes, specials and stop ids', () => {
    const c = openTinyFolder();
    const data = c.tokenizer!;
    expect(data.tokens).toHaveLength(288);
    expect(data.tokens.slice(0, 256).map((t) => t![0])).toEqual(Array.from({ length: 256 }, (_, b) => b));
    expect(data.tokens[256]).toBeNull();
    expect(data.special.get('<|message|>')).toBe(263);
    expect(data.pattern).toBe('\\p{L}+|\\P{L}');
    expect(data.ignoreMerges).toBe(false);
    expect(data.merges).toEqual([]);
    expect(c.stopIds).toEqual([257, 258, 264]);
  });

  it('takes merges as strings and as pairs, and tokens outside the alphabet as they are', () => {
    const json = tokenizer((j, vocab) => {
      vocab['Ġa'] = 270;
      vocab['日本'] = 271;
      (j['model'] as Record<string, unknown>)['merges'] = ['Ġ a', ['b', 'Ċ']];
    });
    const data = openTinyFolder({ 'tokenizer.json': json }).tokenizer!;
    expect([...data.tokens[270]!]).toEqual([32, 97]);
    expect([...data.tokens[271]!]).toEqual([...utf8('日本')]);
    expect(data.merges!.map(([a, b]) => [[...a], [...b]])).toEqual([
      [[32], [97]],
      [[98], [10]],
    ]);
  });

  it('uses the expression of a ByteLevel pre-tokenizer that brings its own', () => {
    const json = tokenizer((j) => (j['pre_tokenizer'] = { type: 'ByteLevel', add_prefix_space: false }));
    expect(openTinyFolder({ 'tokenizer.json': json }).tokenizer!.pattern).toContain("'s|'t|'re");
  });

  it('may be missing, and a vocabulary of the published size then stops at the published ids', () => {
    const c = openTinyFolder({ 'tokenizer.json': null });
    expect(c.tokenizer).toBeNull();
    expect(c.stopIds).toEqual([258]);
  });

  it.each<[string, (json: Record<string, unknown>, vocab: Record<string, unknown>) => void, RegExp]>([
    ['another model', (j) => ((j['model'] as Record<string, unknown>)['type'] = 'Unigram'), /"Unigram"/],
    ['no model', (j) => delete j['model'], /model is not an object/],
    ['a vocabulary that is a list', (j) => ((j['model'] as Record<string, unknown>)['vocab'] = []), /not an object/],
    ['an id outside the model', (_, v) => (v['x2'] = 288), /token id "288"/],
    ['an id of 2^53', (_, v) => (v['x2'] = 2 ** 53), /token id/],
    ['a negative id', (_, v) => (v['x2'] = -1), /token id/],
    ['a fractional id', (_, v) => (v['x2'] = 1.5), /token id/],
    ['an id that is a string', (_, v) => (v['x2'] = '270'), /token id/],
    ['an id twice', (_, v) => (v['x2'] = 5), /two tokens have id 5/],
    ['an empty token', (_, v) => (v[''] = 270), /token 270 is empty/],
    [
      'more tokens than the model',
      (_, v) => Array.from({ length: 100 }, (_x, i) => (v[`t${i}`] = 256 + i)),
      /more tokens than|token id/,
    ],
    ['a byte that no token stands for', (_, v) => delete v['a'], /no token stands for byte 97/],
    ['the same bytes in two spellings', (_, v) => (v['日'] = 270) && (v['æĹ¥'] = 271), /same bytes/],
    ['an added token without text', (j) => (j['added_tokens'] = [{ id: 256 }]), /no text/],
    ['an added token twice', (j) => (j['added_tokens'] = Array(2).fill({ id: 256, content: 'x' })), /occurs twice/],
    ['added tokens that are an object', (j) => (j['added_tokens'] = {}), /not a list/],
    ['a normalizer', (j) => (j['normalizer'] = { type: 'NFKC' }), /normalizer/],
    ['no pre-tokenizer', (j) => (j['pre_tokenizer'] = null), /pre_tokenizer/],
    [
      'an expression of 5,000 characters',
      (j) => (j['pre_tokenizer'] = { type: 'Split', pattern: { Regex: 'a'.repeat(5000) } }),
      /sensible length/,
    ],
  ])('is refused with %s', (_, change, text) => {
    const c = openTinyFolder({ 'tokenizer.json': tokenizer(change) });
    expectRefusal(() => c.tokenizer, 'bad-tokenizer', text);
  });

  it('refuses merges that are no pairs, when they are asked for', () => {
    for (const merges of [['ab'], [['a']], [['a', 1]], [['a', '']], {}, null, [5]]) {
      const c = openTinyFolder({
        'tokenizer.json': tokenizer((j) => ((j['model'] as Record<string, unknown>)['merges'] = merges)),
      });
      expectRefusal(() => c.tokenizer!.merges, 'bad-tokenizer');
    }
  });
});

describe('folders', () => {
  const open = (files: Record<string, Uint8Array | string>, file: string | null = null) =>
    openCheckpointIn(
      memoryFolder('folder', new Map(Object.entries(files).map(([k, v]) => [k, typeof v === 'string' ? utf8(v) : v]))),
      file,
    );
  const index = (map: unknown): string => JSON.stringify({ weight_map: map });

  it('without a model say so', () => {
    expectRefusal(() => open({}), 'bad-checkpoint', /holds no model/);
    expectRefusal(() => open({ 'notes.txt': 'GGUF' }), 'bad-checkpoint', /holds no model/);
    expectRefusal(() => open({ 'model.safetensors': safetensorsBytes() }), 'bad-checkpoint', /no config.json/);
    expectRefusal(
      () => open({ 'model.safetensors': safetensorsBytes() }, 'model.safetensors'),
      'not-found',
      /config.json is missing/,
    );
    expectRefusal(() => open({ 'a.bin': 'hello, world' }, 'a.bin'), 'bad-checkpoint', /neither/);
    expectRefusal(() => open({ 'a.bin': '' }, 'a.bin'), 'bad-checkpoint', /empty/);
    expectRefusal(() => open({}, 'a.bin'), 'not-found', /a.bin is missing/);
  });

  it('with an index that names missing, foreign or no files are refused', () => {
    const files = Object.fromEntries(tinyFolder());
    const withIndex = (map: unknown) => () => open({ ...files, 'model.safetensors.index.json': index(map) });
    expectRefusal(withIndex({ a: 'gone.safetensors' }), 'not-found', /gone.safetensors/);
    for (const name of ['../model.safetensors', '/etc/passwd', 'a/b', 'c:\\x', '..', '', 5, null, 'a\0b'])
      expectRefusal(withIndex({ a: name }), 'bad-checkpoint', /plain file name/);
    expectRefusal(withIndex({}), 'bad-checkpoint', /empty/);
    expectRefusal(withIndex([]), 'bad-checkpoint', /not an object/);
    expectRefusal(
      withIndex(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`t${i}`, `f${i}`]))),
      'bad-checkpoint',
      /more than 1000/,
    );
    expect(withIndex({ a: 'model.safetensors' })().entries).toHaveLength(22);
  });

  it('whose shards hold one tensor twice are refused', () => {
    const files = { ...Object.fromEntries(tinyFolder({ 'model.safetensors': null })) };
    const tensors = tinySafetensors();
    const split = (a: number, b: number) => () =>
      open({
        ...files,
        'model-00001-of-00002.safetensors': safetensorsBytes(tensors.slice(0, a)),
        'model-00002-of-00002.safetensors': safetensorsBytes(tensors.slice(b)),
      });
    expect(split(10, 10)().entries).toHaveLength(22);
    expectRefusal(split(11, 10), 'bad-checkpoint', /two of its parts/);
    expectRefusal(split(10, 11), 'bad-checkpoint', /missing/);
  });

  it('may hold other tensors beside model.safetensors', () => {
    const c = open({
      ...Object.fromEntries(tinyFolder()),
      'expected.safetensors': safetensorsBytes([]),
      'optimizer.pt': safetensorsBytes(),
    });
    expect(c.sources).toHaveLength(1);
  });
});

describe('files on disk', () => {
  const root = mkdtempSync(join(tmpdir(), 'gptoss-disk-'));
  afterAll(() => rmSync(root, { recursive: true }));
  const unix = process.platform !== 'win32';

  it('that do not exist, or whose path cannot be one', () => {
    expectRefusal(() => openCheckpoint(join(root, 'missing')), 'not-found', /does not exist/);
    expectRefusal(() => openCheckpoint(''), 'not-found');
    expectRefusal(() => openCheckpoint('a\0b'), 'not-found');
    writeFileSync(join(root, 'plain'), 'x');
    expectRefusal(() => openCheckpoint(join(root, 'plain', 'inside')), 'not-found');
    expectRefusal(() => openCheckpoint(join(root, 'x'.repeat(5000))), ['io', 'not-found']);
    expectRefusal(() => openCheckpoint(root), 'bad-checkpoint', /no model/);
    expectRefusal(() => openFile(root), 'bad-checkpoint', /is a folder/);
  });

  it.skipIf(!unix)('that are pipes or devices, or links in a circle (POSIX only)', () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    expectRefusal(() => openCheckpoint(join(root, 'pipe')), 'bad-checkpoint', /device, pipe or socket/);
    expectRefusal(() => openCheckpoint('/dev/zero'), 'bad-checkpoint', /device, pipe or socket/);
    expectRefusal(() => openCheckpoint(root), 'bad-checkpoint', /no model/);
    symlinkSync(join(root, 'b'), join(root, 'a'));
    symlinkSync(join(root, 'a'), join(root, 'b'));
    expectRefusal(() => openCheckpoint(join(root, 'a')), 'io', /leads to itself/);
  });

  it('that shrink while they are read', () => {
    const path = join(root, 'shrinks.gguf');
    writeFileSync(path, ggufBytes());
    const c = openCheckpoint(path);
    truncateSync(path, 5000);
    expectRefusal(() => decodeMatrix(c.tensors.output), 'bad-checkpoint', /became shorter/);
    expectRefusal(() => c.sources[0].read(-1, 4), 'bad-checkpoint');
    expectRefusal(() => c.sources[0].read(0, 2 ** 60), 'bad-checkpoint');
    c.close();
    c.close();
  });

  it('appear only when they are complete, and give way to their next version whole', () => {
    const path = join(root, 'deep', 'out.bin');
    const sink = createFile(path);
    sink.write(Uint8Array.of(1, 2));
    expectRefusal(() => openFile(path), 'not-found');
    sink.finish();
    expect([...openFile(path).read(0, 2)]).toEqual([1, 2]);
    const other = createFile(path);
    other.write(Uint8Array.of(3));
    other.discard();
    expect(openFile(path).size).toBe(2);
    mkdirSync(join(root, 'taken.part'));
    expectRefusal(() => createFile(join(root, 'taken')), 'io');
  });
});
