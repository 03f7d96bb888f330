import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { patternSplitter } from './split-matcher.ts';

function split(pattern: string, text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  const pieces: string[] = [];
  patternSplitter(pattern)(bytes, bytes.length, (start, end) => {
    pieces.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(start, end)));
  });
  return pieces;
}

/** What JavaScript makes of the same expression, gaps between matches included. */
function byRegExp(source: string, text: string): string[] {
  const pieces: string[] = [];
  let at = 0;
  for (const match of text.matchAll(new RegExp(source, 'gu'))) {
    if (match.index > at) pieces.push(text.slice(at, match.index));
    pieces.push(match[0]);
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push(text.slice(at));
  return pieces;
}

describe('patternSplitter', () => {
  it('reads expressions of other tokenizers', () => {
    const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    expect(split(gpt2, "it's  12ab\n\nx")).toEqual(['it', "'s", ' ', ' 12', 'ab', '\n', '\n', 'x']);
    const llama3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    expect(split(llama3, "IT'S 12345 (ok)\n")).toEqual(['IT', "'S", ' ', '123', '45', ' (', 'ok', ')\n']);
    const han = '[\\p{Han}&&[^x]]';
    expect(() => split(han, 'x')).toThrow(/class inside a class|intersects/);
    expect(split('\\p{Han}+|[^\\p{Han}]+', 'ab漢字cd')).toEqual(['ab', '漢字', 'cd']);
  });

  it('agrees with the RegExp of JavaScript on expressions that both understand', () => {
    const atoms = [
      'a',
      'b',
      '[ab]',
      '[^a]',
      '\\p{Lu}',
      '\\P{L}',
      '.',
      '(?:a|bb)',
      '(ab|a)',
      '(?=b)a?b',
      '(?!a)[^b]',
      'é',
      '\\u{1F600}',
    ];
    const counts = ['', '?', '*', '+', '{2}', '{1,3}', '{0,2}', '{2,}'];
    // Never a lookahead at the start of a repeated group: there V8's native code (from the second call on) is wrong,
    // e.g. /(?:(?=b)a?b)*\u{1F600}/gu does not match all of "b\u{1F600}".
    const item = fc
      .tuple(fc.constantFrom(...atoms), fc.constantFrom(...counts))
      .map(([atom, count]) => (atom.startsWith('(?=') || atom.startsWith('(?!') ? atom : atom + count));
    const branch = fc.array(item, { minLength: 1, maxLength: 4 }).map((items) => items.join(''));
    const patterns = fc.array(branch, { minLength: 1, maxLength: 3 }).map((branches) => branches.join('|'));
    const texts = fc
      .array(fc.constantFrom('a', 'b', 'A', 'é', '\n', '😀', '漢'), { maxLength: 12 })
      .map((list) => list.join(''));
    let compared = 0;
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        let pieces: string[];
        try {
          pieces = split(pattern, text);
        } catch (error) {
          expect(String(error)).toMatch(/can match nothing/);
          return;
        }
        compared++;
        expect(pieces).toEqual(byRegExp(pattern, text));
      }),
      { numRuns: 2000 },
    );
    expect(compared).toBeGreaterThan(500);
  });

  it('takes possessive repetitions and atomic groups as they are meant', () => {
    expect(split('a++b|c', 'aab')).toEqual(['aab']);
    expect(split('[ab]++b|c', 'aabc')).toEqual(['aab', 'c']);
    expect(split('(?>a|ab)c|x', 'abcx')).toEqual(['abc', 'x']);
    expect(split('(?:a|ab)c|x', 'abcx')).toEqual(['abc', 'x']);
    expect(split('(?>ab|a)c|x', 'acx')).toEqual(['ac', 'x']);
    expect(split('(?:ab)*+a|x', 'ababax')).toEqual(['ababa', 'x']);
  });

  it('ignores case where the expression says so, with simple folding', () => {
    expect(split("(?i:k's)|[^k]", "K'S\u212a'\u017f")).toEqual(["K'S", "\u212a'\u017f"]);
  });

  it.each([
    ['a*', /match nothing/],
    ['(a|b', /group without end/],
    ['a)', /a "\)" too many/],
    ['[ab', /class without end/],
    ['[]a]', /empty class/],
    ['[z-a]', /bad range/],
    ['a+?', /lazy/],
    ['a{1,3}+', /repeats a repetition/],
    ['(a*)*b', /group that can match nothing/],
    ['+a', /repeats nothing/],
    ['^a', /anchor/],
    ['a$', /anchor/],
    ['(?<=a)b', /unknown kind/],
    ['(?<n>a)', /unknown kind/],
    ['\\1', /escape/],
    ['\\bab', /escape/],
    ['\\p{Nope}', /unknown property/],
    ['(?i:\\p{Lu})', /ignores case in a property/],
    ['a{1000}', /beyond 1 to 64/],
    ['(?:(?:(?:a{64}b){64}c){64}d){64}', /too large/],
    ['('.repeat(40), /nested deeper/],
    ['a'.repeat(5000), /characters long/],
  ])('refuses %s', (pattern, reason) => {
    expect(() => patternSplitter(pattern)).toThrow(reason);
  });

  it.each(['(?:a+)+b', '(?:a|a)+b', '(?:a+a+)+b'])('stops %s when it backtracks without end', (pattern) => {
    expect(() => split(pattern, 'a'.repeat(5000))).toThrow(/backtracks without end/);
  });
});
