import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { o200kHarmony } from './o200k-harmony.node.ts';
import { streamDecoder } from './stream-decoder.ts';

const tokenizer = o200kHarmony();
const ids = fc.array(
  fc.oneof(fc.nat(199_997), fc.nat(511), fc.integer({ min: 199_990, max: 201_087 }), fc.constantFrom(9552, 132990)),
  { maxLength: 30 },
);

describe('StreamDecoder', () => {
  it('gives in pieces what decoding gives at once', () => {
    fc.assert(
      fc.property(ids, (list) => {
        const decoder = tokenizer.decoder();
        const text = list.map((id) => decoder.push(id)).join('') + decoder.flush();
        expect(text).toBe(tokenizer.decode(list));
        expect(text).toBe(Buffer.from(tokenizer.decodeBytes(list)).toString('utf8'));
      }),
      { numRuns: 1000 },
    );
  });

  it('never splits a code point and keeps streams apart', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 4 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 20 }),
        (texts, choices) => {
          const streams = texts.map((text) => ({ decoder: tokenizer.decoder(), ids: tokenizer.encode(text), out: '' }));
          for (let turn = 0; streams.some((stream) => stream.ids.length > 0); turn++) {
            const open = streams.filter((stream) => stream.ids.length > 0);
            const stream = open[choices[turn % choices.length] % open.length];
            const part = stream.decoder.push(stream.ids.shift()!);
            if (/\p{Surrogate}/u.test(part)) expect.fail(`half a code point in ${JSON.stringify(part)}`);
            stream.out += part;
          }
          expect(streams.map((stream) => stream.out + stream.decoder.flush())).toEqual(
            texts.map((text) => text.replace(/\p{Surrogate}/gu, '\ufffd')),
          );
        },
      ),
    );
  });

  it('waits for the rest of a code point, and marks what can never become one', () => {
    const decoder = streamDecoder((byte) => Uint8Array.of(byte));
    const push = (...list: number[]): string[] => list.map((byte) => decoder.push(byte));
    expect(push(0xe3, 0x81, 0x82)).toEqual(['', '', 'あ']);
    expect(push(0xe3, 0x81, 0x41)).toEqual(['', '', '\ufffdA']);
    expect(push(0xff, 0x80)).toEqual(['\ufffd', '\ufffd']);
    expect(push(0xf0, 0x9f, 0x98)).toEqual(['', '', '']);
    expect(decoder.flush()).toBe('\ufffd');
    expect(push(0x62)).toEqual(['b']);
    expect(decoder.flush()).toBe('');
  });

  it('keeps U+FEFF at the beginning of a text', () => {
    const decoder = tokenizer.decoder();
    const text = '\ufefftext';
    expect(
      tokenizer
        .encode(text)
        .map((id) => decoder.push(id))
        .join(''),
    ).toBe(text);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  it("says harmony's example of invalid tokens", () => {
    const decoder = tokenizer.decoder();
    expect(decoder.push(9552)).toBe(' ');
    expect(decoder.push(200007)).toBe('\ufffd<|end|>');
  });
});
