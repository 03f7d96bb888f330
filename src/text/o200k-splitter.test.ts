import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { o200kPattern, o200kSingleDigitPattern, o200kSplitter, type Splitter } from './o200k-splitter.ts';
import { patternSplitter } from './split-matcher.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function split(splitter: Splitter, text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  const pieces: string[] = [];
  let at = 0;
  splitter(bytes, bytes.length, (start, end) => {
    if (start !== at || end <= start) throw new Error(`piece ${start}–${end} after ${at}`);
    at = end;
    pieces.push(decoder.decode(bytes.subarray(start, end)));
  });
  expect(at).toBe(bytes.length);
  return pieces;
}

/** The expression in JavaScript's own dialect: White_Space for \s, the case of the suffixes written out. */
function byRegExp(longestNumber: number): (text: string) => string[] {
  const suffix = "(?:'(?:[sStTmMdD\u017f]|[rRvV][eE]|[lL][lL]))?";
  const source = o200kPattern
    .replaceAll("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", suffix)
    .replaceAll('\\s', '\\p{White_Space}')
    .replace('\\S', '\\P{White_Space}')
    .replace('{1,3}', `{1,${longestNumber}}`);
  const expression = new RegExp(source, 'gu');
  return (text) => text.match(expression) ?? [];
}

// One to three members of every class that the expression tells apart, and what its literals look at.
const alphabet = [
  ...['a', 'z', 's', 't', 'r', 'e', 'v', 'l', 'm', 'd', 'ſ', 'é', 'ß', '𝒶'], // Ll
  ...['A', 'S', 'L', 'E', 'É', 'Σ', 'ǅ', '𝒜'], // Lu, Lt
  ...['ʰ', 'あ', '漢', 'ª', '𠮷', '한'], // Lm, Lo
  ...['\u0301', '\u0903', '\u20dd', '\u{1d165}'], // M
  ...['1', '9', '٣', '²', 'Ⅷ', '𝟘'], // N
  ...["'", '’', '/', '!', '{', '\u0000', '\u200b', '\ufeff', '\ufffd', '😀', '\u{10ffff}', '\u0378'], // other
  ...[' ', '  ', '\t', '\u0085', '\u00a0', '\u2003', '\u2028', '\u3000', '\u000b'], // White_Space
  ...['\n', '\r', '\r\n'],
];
const texts = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.constantFrom(...alphabet), { maxLength: 24 }).map((parts) => parts.join('')) },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'binary', maxLength: 24 })
      .map((text) => decoder.decode(new TextEncoder().encode(text))),
  },
);

describe('o200kSplitter', () => {
  it.each([3, 1])('cuts any text as the expression does, with %i digits together', (longestNumber) => {
    const own = o200kSplitter(longestNumber);
    const program = patternSplitter(longestNumber === 3 ? o200kPattern : o200kSingleDigitPattern);
    const regExp = byRegExp(longestNumber);
    fc.assert(
      fc.property(texts, (text) => {
        const pieces = split(own, text);
        expect(pieces).toEqual(regExp(text));
        expect(split(program, text)).toEqual(pieces);
      }),
      { numRuns: 4000 },
    );
  });

  it('keeps a contraction with its word and cuts numbers by three', () => {
    expect(split(o200kSplitter(3), "I'LL say it's 12345, isn't it?")).toEqual([
      ..."I'LL| say| it's| |123|45|,| isn't| it|?".split('|'),
    ]);
  });

  it('knows every code point of the planes in use', () => {
    const regExp = byRegExp(3);
    const own = o200kSplitter(3);
    for (let point = 0; point < 0x110000; point += 0x200) {
      if (point >= 0x34000 && point % 0x10000 !== 0) continue; // unassigned and private planes: a sample
      // Each code point after a letter, so that its class shows in where the cut falls.
      const text = Array.from({ length: 0x200 }, (_, i) => point + i)
        .filter((p) => p < 0xd800 || p > 0xdfff)
        .map((p) => `a${String.fromCodePoint(p)}`)
        .join('');
      if (split(own, text).join('|') !== regExp(text).join('|')) expect.fail(`differs in U+${point.toString(16)} …`);
    }
  });
});
