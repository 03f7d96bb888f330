import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasShared, repoPath, sharedPath } from '../../test/shared.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import type { TokenizerData } from '../formats/checkpoint.ts';
import { o200kHarmony, packagedO200k } from './o200k-harmony.node.ts';
import { o200kHarmonySpecials } from './o200k-harmony.ts';
import { type Tokenizer, tokenizerFrom } from './tokenizer.ts';

const json = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
function tokenizerAt(path: string): Tokenizer {
  const checkpoint = openCheckpoint(path);
  if (checkpoint.tokenizer === null) throw new Error(`${path} has no tokenizer`);
  const tokenizer = tokenizerFrom(checkpoint.tokenizer);
  checkpoint.close();
  return tokenizer;
}
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const singleBytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));

const plain: TokenizerData = {
  isO200k: false,
  tokens: [...singleBytes, bytes('ab'), bytes('abc'), null, bytes('bc')],
  special: new Map([
    ['<|a|>', 258],
    ['<|a|>b', 260],
    ['<|', 261],
  ]),
  merges: [
    [bytes('b'), bytes('c')],
    [bytes('a'), bytes('b')],
  ],
  pattern: null,
  ignoreMerges: false,
};

describe('tokenizerFrom', () => {
  const mini = hasShared('fixtures/mini-mxfp4') ? it : it.skip; // skipped: no golden data beside this repository
  const tiny = hasShared('models/seed-tiny') ? it : it.skip;

  mini('encodes the cases of the mini checkpoint', () => {
    const folder = sharedPath('fixtures/mini-mxfp4');
    const cases = JSON.parse(readFileSync(`${folder}/tokenizer_cases.json`, 'utf8')) as {
      text: string;
      ids: number[];
    }[];
    for (const path of [folder, sharedPath('fixtures/mini.gguf'), sharedPath('fixtures/mini-ollama-2025-08.gguf')]) {
      const tokenizer = tokenizerAt(path);
      for (const { text, ids } of cases) {
        expect(tokenizer.encodeWithSpecials(text), path).toEqual(ids);
        expect(tokenizer.decode(ids), path).toBe(text);
      }
    }
  });

  tiny('encodes the prompts of the tiny model, which takes digits one by one', () => {
    const folder = sharedPath('models/seed-tiny');
    const { cases } = json(`${folder}/expected.json`) as {
      cases: { prompt_text: string; prompt_ids: number[]; output_text: string; output_ids: number[] }[];
    };
    for (const path of [folder, `${folder}/seed-tiny.gguf`]) {
      const tokenizer = tokenizerAt(path);
      for (const { prompt_text, prompt_ids, output_text, output_ids } of cases) {
        expect(tokenizer.encodeWithSpecials(prompt_text), path).toEqual(prompt_ids);
        expect(tokenizer.decode(output_ids), path).toBe(output_text);
      }
    }
  });

  it('takes the ranks of a checkpoint that is o200k from its own tokens or from the packed ones, with equal results', () => {
    const vocabulary = packagedO200k();
    const data: TokenizerData = {
      isO200k: true,
      tokens: Array.from({ length: vocabulary.size }, (_, id) => vocabulary.token(id)),
      special: o200kHarmonySpecials(),
      merges: null,
      pattern: null,
      ignoreMerges: true,
    };
    const text = readFileSync(repoPath('native/kernels.h'), 'utf8');
    const expected = o200kHarmony().encode(text);
    expect(tokenizerFrom(data).encode(text)).toEqual(expected);
    expect(tokenizerFrom(data, vocabulary).encode(text)).toEqual(expected);
    expect(tokenizerFrom(data, vocabulary).vocabulary).toBe(vocabulary);
  });

  it('follows the order of explicit merges, and takes whole pieces only where the file says so', () => {
    expect(tokenizerFrom(plain).encode('abc')).toEqual([97, 259]);
    expect(tokenizerFrom({ ...plain, ignoreMerges: true }).encode('abc')).toEqual([257]);
    expect(tokenizerFrom({ ...plain, merges: null }).encode('xabc')).toEqual([120, 257]);
  });

  it('uses the expression of the file', () => {
    const tokenizer = tokenizerFrom({ ...plain, pattern: '[^b]+|b' });
    expect(tokenizer.encode('abc')).toEqual([97, 98, 99]);
    expect(() => tokenizerFrom({ ...plain, pattern: '(?<=a)b' })).toThrow(/pre-tokenizer expression/);
  });

  it('takes the longest special name and leaves text as it is', () => {
    const tokenizer = tokenizerFrom(plain);
    expect(tokenizer.encodeWithSpecials('<|a|>bc<|a|><|x')).toEqual([260, 99, 258, 261, 120]);
    expect(tokenizer.encode('<|a|>b')).toEqual([...bytes('<|a|>b')]);
    expect(tokenizer.decode([260, 99, 258])).toBe('<|a|>bc<|a|>');
    expect(tokenizer.vocabSize).toBe(262);
  });

  it('never makes a special token of plain text', () => {
    const names = ['<|start|>', '<|end|>', '<|', '|>', 'start', '<|message|>', ' '];
    const tokenizer = o200kHarmony();
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...names), { maxLength: 10 }), (parts) => {
        const ids = tokenizer.encode(parts.join(''));
        expect(ids.filter((id) => tokenizer.isSpecial(id))).toEqual([]);
        expect(tokenizer.decode(ids)).toBe(parts.join(''));
      }),
    );
  });

  it('lets a special token win over text at the same id', () => {
    const tokenizer = tokenizerFrom({ ...plain, special: new Map([['<s>', 257]]) });
    expect(tokenizer.tokenBytes(257)).toBeNull();
    expect(tokenizer.decode([257])).toBe('<s>');
    expect(tokenizerFrom({ ...plain, special: new Map([['<s>', 257]]), merges: null }).encode('abc')).toEqual([
      256, 99,
    ]);
  });

  it('decodes ids without text to nothing and refuses what is no id', () => {
    const tokenizer = tokenizerFrom(plain);
    expect(tokenizer.decode([97, 9999, 98])).toBe('ab');
    expect(tokenizer.tokenBytes(9999)).toBeNull();
    for (const id of [-1, 0.5, Number.NaN]) expect(() => tokenizer.decode([id])).toThrow(/is no token id/);
  });

  it('refuses vocabularies that cannot spell every text, and special tokens without sense', () => {
    const tokens = plain.tokens.map((token, id) => (id === 0xe3 ? null : token));
    expect(() => tokenizerFrom({ ...plain, tokens })).toThrow(/no token for the byte 0xe3/);
    const bare = plain.tokens.map((token, id) => (id === 0xff || id === 0xc0 ? null : token));
    expect(tokenizerFrom({ ...plain, tokens: bare }).encode('é')).toEqual([0xc3, 0xa9]);
    expect(() => tokenizerFrom({ ...plain, special: new Map([['', 300]]) })).toThrow(/special token ""/);
    expect(() => tokenizerFrom({ ...plain, special: new Map([['x', 2 ** 40]]) })).toThrow(/has id 1099511627776/);
  });
});
