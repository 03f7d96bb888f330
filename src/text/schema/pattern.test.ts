// Patterns mean what they mean in JavaScript with flag u; what cannot be kept is refused at once.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { complementDfa, dfaMatches, intersect, lengthDfa } from './char-dfa.ts';
import { PatternProblem, UNLIMITED } from './pattern.ts';
import { patternDfa } from './pattern-dfa.ts';
import { finish, TooComplex, WorkLimit } from './work-limit.ts';

const compile = (pattern: string, whole = false) => finish(patternDfa(pattern, whole, new WorkLimit()));

const atoms = fc.constantFrom(
  ...[
    'a',
    'b',
    '.',
    '\\d',
    '\\w',
    '\\s',
    '\\S',
    '[ab]',
    '[^a]',
    '[a-c\\d]',
    '[^\\W_]',
    '\\n',
    'é',
    '👩',
    '[👩-👫]',
    '\\u{1F469}',
  ],
  ...[
    '\\uD83D\\uDC69',
    '\\x41',
    '\\.',
    '\\/',
    '[\\]-]',
    '\\p{Lu}',
    '\\P{L}',
    '[\\p{N}x]',
    '[]',
    '[^]',
    '\\cJ',
    '\\0',
    '\\$',
  ],
);
const patterns = fc.letrec<{ tree: string; item: string }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small' },
    { weight: 4, arbitrary: atoms },
    { weight: 1, arbitrary: tie('tree').map((inner) => `(${inner})`) },
    { weight: 1, arbitrary: tie('tree').map((inner) => `(?:${inner})`) },
    { weight: 1, arbitrary: tie('tree').map((inner) => `(?<n${inner.length}>${inner})`) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(atoms, fc.constantFrom('*', '+', '?', '{2}', '{1,}', '{0,2}', '*?', '+?', '{1,3}?'))
        .map((parts) => parts.join('')),
    },
    { weight: 1, arbitrary: fc.constantFrom('^', '$') },
  ),
  tree: fc.oneof(
    { depthSize: 'small' },
    { weight: 3, arbitrary: fc.array(tie('item'), { maxLength: 4 }).map((items) => items.join('')) },
    { weight: 1, arbitrary: fc.array(tie('tree'), { minLength: 2, maxLength: 3 }).map((options) => options.join('|')) },
  ),
})).tree;
const texts = fc.array(
  fc.constantFrom('a', 'b', 'c', 'A', '1', '_', ' ', '\n', 'é', '👩', '👪', '.', '/', ']', '-', 'x', '\0', '$'),
  {
    maxLength: 6,
  },
);

describe('patterns', () => {
  it('match what they match in JavaScript', () => {
    let matched = 0;
    fc.assert(
      fc.property(patterns, fc.array(texts, { minLength: 8, maxLength: 8 }), (pattern, samples) => {
        let native: RegExp;
        try {
          native = new RegExp(pattern, 'u');
        } catch {
          return; // two groups of one name
        }
        const dfa = compile(pattern);
        for (const sample of samples.map((characters) => characters.join(''))) {
          expect(dfa !== null && dfaMatches(dfa, sample), `${pattern} on ${JSON.stringify(sample)}`).toBe(
            native.test(sample),
          );
          if (native.test(sample)) matched++;
        }
      }),
      { numRuns: 800 },
    );
    expect(matched).toBeGreaterThan(500);
  });

  it('may look ahead from the beginning', () => {
    const looks = fc.array(fc.tuple(fc.constantFrom('=', '!'), patterns), { minLength: 1, maxLength: 2 });
    let matched = 0;
    fc.assert(
      fc.property(looks, patterns, fc.array(texts, { minLength: 5, maxLength: 5 }), (list, rest, samples) => {
        const beginning = list.map(([sign, inner]) => `(?${sign}${inner})`).join('');
        const pattern = `^${beginning}(?:${rest})`;
        let native: RegExp;
        try {
          native = new RegExp(pattern, 'u');
        } catch {
          return;
        }
        const dfa = compile(pattern);
        for (const sample of samples.map((characters) => characters.join(''))) {
          expect(dfa !== null && dfaMatches(dfa, sample), `${pattern} on ${JSON.stringify(sample)}`).toBe(
            native.test(sample),
          );
          if (native.test(sample)) matched++;
        }
      }),
      { numRuns: 200 },
    );
    expect(matched).toBeGreaterThan(20);
  });

  it('are joined with each other, with lengths and with everything else', () => {
    fc.assert(
      fc.property(patterns, patterns, texts, fc.nat(3), fc.nat(3), (one, two, characters, min, more) => {
        const text = characters.join('');
        const matches = (pattern: string): boolean => {
          const dfa = compile(pattern);
          return dfa !== null && dfaMatches(dfa, text);
        };
        const [a, b] = [compile(one), compile(two)];
        if (a === null || b === null) return;
        const both = finish(intersect(a, b, new WorkLimit()));
        expect(both !== null && dfaMatches(both, text)).toBe(matches(one) && matches(two));
        const other = finish(complementDfa(a));
        expect(other !== null && dfaMatches(other, text)).toBe(!matches(one));
        const limited = finish(
          intersect(a, finish(lengthDfa(min, more === 3 ? UNLIMITED : min + more)), new WorkLimit()),
        );
        const fits = characters.length >= min && (more === 3 || characters.length <= min + more);
        expect(limited !== null && dfaMatches(limited, text)).toBe(fits && matches(one));
      }),
      { numRuns: 200 },
    );
  });

  it('refuse what JavaScript refuses, and by name what an automaton cannot do', () => {
    const wrong: [string, RegExp][] = [
      ['^+', /repeats an anchor/],
      ['a**', /nothing to repeat/],
      ['*a', /nothing to repeat/],
      ['(a', /never closed/],
      ['a)', /too many/],
      ['[a', /never closed/],
      ['[b-a]', /out of order/],
      ['a{2,1}', /out of order/],
      ['a{', /no repeat count/],
      ['}', /too many/],
      ['\\p{Nonsense}', /not known/],
      ['\\q', /means nothing/],
      ['\\u{110000}', /does not exist/],
      ['\\01', /octal/],
      ['(?=a)', /looks ahead or behind/],
      ['^(?=a)b|c', /in one of its alternatives/],
      ['^(?=a)+b', /repeats a look ahead/],
      ['^(?=(?=a))b', /looks ahead or behind/],
      ['(?<!a)b', /looks ahead or behind/],
      ['(?<=x)', /looks ahead or behind/],
      ['(a)\\1', /back reference/],
      ['\\bword', /word boundary/],
      ['(?i)a', /kind of group/],
      ['('.repeat(60_000) + ')'.repeat(60_000), /at most 10000/],
      ['('.repeat(500) + ')'.repeat(500), /deeper than/],
      ['a'.repeat(20_000), /at most 10000/],
    ];
    for (const [pattern, why] of wrong) expect(() => compile(pattern), pattern.slice(0, 40)).toThrow(why);
  });

  it('end soon, however hostile', () => {
    const hostile = [
      ...['(a+)+$', '(a|aa)+$', '(.*)*x', '(?:(?:a*)*)*', 'a{0,1000000000}', '(a{1,1000}){1,1000}', '(){1000000000}'],
      ...[
        '(a|b)*a(a|b){20}',
        '(x+x+)+y',
        '[^a]*'.repeat(400),
        `${'(a?)'.repeat(300)}${'a'.repeat(300)}`,
        '\\p{L}{1,2000}',
      ],
      ...['(?:.{0,50}a){20}', '(\\w+\\s?){0,200}$', `(?:${Array.from({ length: 900 }, (_, i) => `w${i}`).join('|')})*`],
    ];
    for (const pattern of hostile) {
      try {
        compile(pattern);
      } catch (error) {
        expect(error instanceof PatternProblem || error instanceof TooComplex, pattern).toBe(true);
      }
    }
  });

  it('know when they match nothing', () => {
    for (const pattern of ['a^', '$a', '[]', '^a$b']) expect(compile(pattern)).toBeNull();
    expect(compile('a', true)).not.toBeNull();
  });
});
