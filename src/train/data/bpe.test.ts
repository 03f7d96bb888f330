// A trained vocabulary opens in our own loader, spells everything, keeps the format's words whole and digits single, and is
// a function of the text alone.
import { describe, expect, it } from 'vitest';
import { bpeRankFile, bpeTokenizerJson, harmonySpecials, harmonyWords, trainBpe } from './bpe.ts';
import { smallVocabulary, trainingTexts } from './data.testing.ts';

const { bpe, json, tokenizer } = smallVocabulary();

describe('a trained vocabulary', () => {
  it('has the size asked for, special tokens last in harmony order', () => {
    expect(tokenizer.vocabSize).toBe(640);
    expect(harmonySpecials.map((name) => tokenizer.special(name))).toEqual(harmonySpecials.map((_, i) => 630 + i));
  });

  it('keeps the words of the format whole', () => {
    const parts = harmonyWords.filter((word) => tokenizer.encode(word).length !== 1);
    expect(parts).toEqual([]);
    expect(tokenizer.encode('# Valid channels: analysis, commentary, final.').length).toBeLessThan(12);
  });

  it('takes digits one by one', () => {
    expect(tokenizer.encode('2024').map((id) => tokenizer.decode([id]))).toEqual(['2', '0', '2', '4']);
  });

  it.each([
    'What is 412 + 509?',
    'こんにちは!何を手伝いましょうか?',
    '<|start|>',
    '\u0000\uFFFD \t\r\n\n x',
    'ﷺ 👩‍👩‍👧 naïve',
  ])('gives back %j', (text) => {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  it('says common text in fewer tokens than bytes', () => {
    const text = trainingTexts(12).join('\n');
    expect(tokenizer.encode(text).length).toBeLessThan(0.75 * new TextEncoder().encode(text).length);
  });

  it('is the same whenever it is trained, and lists ranks', () => {
    expect(bpeTokenizerJson(trainBpe(trainingTexts(120), { vocab: 640 }))).toBe(json);
    const lines = bpeRankFile(bpe).trim().split('\n');
    expect(lines).toHaveLength(630);
    expect(lines[65]).toBe(`${btoa('A')} 65`);
  });

  it('refuses a size too small, and text too poor', () => {
    expect(() => trainBpe(['abc'], { vocab: 300 })).toThrow(/too small/);
    expect(() => trainBpe(['abc'], { vocab: 5000 })).toThrow(/offers only/);
  });
});
