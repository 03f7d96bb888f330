// JSON strings byte by byte: valid UTF-8, whole surrogate pairs, all escapes; formats as their validators see them.

import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringFormats } from './formats.ts';
import { compileFormat } from './output-format.ts';
import { byteVocabulary, grammarAccepts, randomOf, sampleText } from './schema.testing.ts';
import { compileSchema } from './schema-compiler.ts';

const anyString = compileSchema({ type: 'string' });
const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A JSON string in which each code unit is written as chosen. */
function spelled(text: string, choices: readonly number[]): string {
  const hex = (unit: string, isUpper: boolean): string => {
    const digits = unit.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${isUpper ? digits.toUpperCase() : digits}`;
  };
  const parts = Array.from(text, (character, i) => {
    const way = choices[i % choices.length];
    if (way === 0 && character >= ' ' && character !== '"' && character !== '\\') return character;
    if (way === 1 && escapes[character] !== undefined) return escapes[character];
    return character
      .split('')
      .map((unit) => hex(unit, way === 2))
      .join('');
  });
  return `"${parts.join('')}"`;
}

const characters = fc.string({
  unit: fc.constantFrom(
    'a',
    '"',
    '\\',
    '/',
    '\n',
    '\t',
    '\0',
    'é',
    '中',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '👩',
    '𐀀',
    '\u{10ffff}',
  ),
  maxLength: 8,
});
const ways = fc.array(fc.nat(3), { minLength: 1, maxLength: 5 });

function acceptsBytes(bytes: Uint8Array): boolean {
  let place: typeof anyString.start | null = anyString.start;
  for (const byte of bytes) place = place === null ? null : anyString.step(place, byte);
  return place?.mayEnd ?? false;
}

describe('JSON strings', () => {
  it('can be written in every spelling', () => {
    fc.assert(
      fc.property(characters, ways, (text, choices) => {
        const json = spelled(text, choices);
        expect(JSON.parse(json)).toBe(text);
        expect(grammarAccepts(anyString, json), json).toBe(true);
        const length = [...text].length;
        const limited = compileSchema({ type: 'string', minLength: 2, maxLength: 4 });
        expect(grammarAccepts(limited, json)).toBe(length >= 2 && length <= 4);
        const exact = compileSchema({ type: 'string', pattern: '^[a\\u{10000}-\\u{10ffff}"]*$' });
        expect(grammarAccepts(exact, json), json).toBe(/^[a\u{10000}-\u{10ffff}"]*$/u.test(text));
      }),
      { numRuns: 200 },
    );
  });

  it('are bytes that a strict reader accepts, and no others', () => {
    const pieces = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          'a',
          '\\n',
          '\\u00e9',
          '\\ud83d\\ude00',
          '\\uD83D',
          '\\udc00',
          '\\ud83d\\n',
          '\\x',
          '\n',
          '"',
          '\\"',
        ),
      },
      { weight: 1, arbitrary: fc.constantFrom('é', '😀', '\u2028', '\u007f') },
    );
    const raw = fc.constantFrom(
      ...[0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xe0, 0xe2, 0xed, 0xa0, 0xf0, 0x90, 0xf4, 0xf5, 0xff],
    );
    const utf8 = new TextEncoder();
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 2, arbitrary: pieces }, { weight: 1, arbitrary: raw }), { maxLength: 5 }),
        (list) => {
          const bytes = Uint8Array.from(
            ['"', ...list, '"'].flatMap((piece) => (typeof piece === 'number' ? [piece] : [...utf8.encode(piece)])),
          );
          let expected = false;
          try {
            const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
            expected = typeof value === 'string' && !/\p{Surrogate}/u.test(value);
          } catch {}
          expect(acceptsBytes(bytes), Buffer.from(bytes).toString('latin1')).toBe(expected);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('never begin a character that they could not finish', () => {
    // Only U+10000 … U+103FF: of the escapes the pair that begins with \ud800, of the bytes those of F0 90 80 … 8F.
    const grammar = compileSchema({ type: 'string', pattern: '^[\\u{10000}-\\u{103ff}]$' });
    const bytesAfter = (bytes: readonly number[]): number[] => {
      let place = grammar.start;
      for (const byte of bytes) place = grammar.step(place, byte)!;
      return Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => grammar.step(place, byte) !== null);
    };
    const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];
    expect(bytesAfter(bytes('"'))).toEqual([0x5c, 0xf0]);
    expect(bytesAfter([0x22, 0xf0])).toEqual([0x90]);
    expect(bytesAfter([0x22, 0xf0, 0x90])).toEqual(Array.from({ length: 16 }, (_, i) => 0x80 + i));
    expect(bytesAfter(bytes('"\\'))).toEqual(bytes('u'));
    expect(bytesAfter(bytes('"\\u'))).toEqual(bytes('Dd'));
    expect(bytesAfter(bytes('"\\ud8'))).toEqual(bytes('0'));
    expect(bytesAfter(bytes('"\\ud800'))).toEqual(bytes('\\'));
    expect(bytesAfter(bytes('"\\ud800\\ud'))).toEqual(bytes('CDEFcdef'));
  });
});

describe('formats', () => {
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);

  it('allow only what validators allow', () => {
    for (const format of stringFormats.keys()) {
      const schema = { type: 'string', format };
      const validate = ajv.compile(schema);
      const compiled = compileFormat({ kind: 'json-schema', schema }, byteVocabulary());
      for (let seed = 0; seed < 40; seed++) {
        const { text } = sampleText(compiled, byteVocabulary(), randomOf(seed), 30);
        expect(validate(JSON.parse(text)), `${format}: ${text}`).toBe(true);
      }
    }
  });

  it('allow what people write', () => {
    const examples: [string, string[], string[]][] = [
      [
        'date',
        ['2024-02-29', '2000-02-29', '1999-12-31'],
        ['2023-02-29', '1900-02-29', '2024-13-01', '2024-04-31', '24-01-01'],
      ],
      ['time', ['23:59:59Z', '08:30:06.283185+02:00'], ['24:00:00Z', '08:30:06', '8:30:06Z']],
      [
        'date-time',
        ['1990-12-31T15:59:50.123-08:00', '2024-02-29T00:00:00Z'],
        ['1990-02-31T15:59:59.123-08:00', '2013-350T01:01:01Z'],
      ],
      ['duration', ['P3Y6M4DT12H30M5S', 'PT36H', 'P4W'], ['P', 'PT', 'P1D2H', '1D']],
      [
        'uuid',
        ['2eb8aa08-aa98-11ea-b4aa-73b441d16380'],
        ['2eb8aa08aa9811eab4aa73b441d16380', '2eb8aa08-aa98-11ea-b4aa'],
      ],
      ['email', ['joe.bloggs@example.com', 'te~st@a.example.co'], ['joe', '@x.y', '.a@b.c', 'a..b@c.d']],
      ['hostname', ['www.example.com', 'a-b.c'], ['-a.com', 'a-.com', 'a..b']],
      ['ipv4', ['192.168.0.1', '0.0.0.0', '255.255.255.255'], ['256.1.1.1', '01.1.1.1', '1.1.1']],
      ['ipv6', ['::1', '::', 'fe80::1', '2001:db8:85a3:0:0:8a2e:370:7334'], ['12345::', '1:2:3', ':::', '1::2::3']],
      ['uri', ['https://example.com/a/b?x=1&y=%20#top', 'ftp://a.b:21'], ['example.com', 'http:// x', '//a']],
    ];
    expect(examples.map(([format]) => format)).toEqual([...stringFormats.keys()]);
    for (const [format, good, bad] of examples) {
      const grammar = compileSchema({ type: 'string', format });
      for (const text of good) expect(grammarAccepts(grammar, JSON.stringify(text)), text).toBe(true);
      for (const text of bad) expect(grammarAccepts(grammar, JSON.stringify(text)), text).toBe(false);
    }
    expect(() => compileSchema({ type: 'string', format: 'idn-email' })).toThrow(/"format" is "idn-email"/);
  });
});
