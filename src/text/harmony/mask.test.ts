// Whatever is sampled under the mask is a well-formed turn: strict mode finds no error, the tolerant one no problem.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../../test/shared.ts';
import { o200kEncoding, tinyEncoding } from './encoding.testing.ts';
import { HarmonyMask, HeaderGrammar, type MaskOptions } from './mask.ts';
import { parseTokens } from './parse.ts';
import { readTurn } from './turn.ts';

const { encoding, ids, tokenizer, text } = o200kEncoding();
const rows = 201_088;
const tools = ['functions.get', 'functions.get_weather', 'functions.f', 'python', 'browser.search'];
const contentIds = tokenizer.encode('The answer is 42. {"a": [1, 2]} \n analysis to=functions.x 日本 é print(1)');

/** Samples a turn; the choices are taken in turn from `values` in [0, 1). Steers before token `steerAt`; stops after
 *  `limit` tokens. */
function sample(mask: HarmonyMask, values: readonly number[], steerAt = -1, limit = 400): number[] {
  const out: number[] = [];
  let at = 0;
  const random = (): number => values[at++ % values.length]!;
  while (out.length < limit) {
    if (out.length === steerAt) mask.steerToAnswer();
    const allowed = mask.allowed();
    if (allowed.kind === 'done') break;
    if (allowed.kind === 'free') throw new Error('left the format');
    if (allowed.kind === 'bits') throw new Error('constrained content');
    let id: number;
    if (allowed.kind === 'ids') {
      expect(allowed.ids.length).toBeGreaterThan(0);
      id = allowed.ids[Math.floor(random() * allowed.ids.length)]!;
    } else {
      const banned = new Set(allowed.banned);
      const ends = Object.values(encoding.ids).filter((end) => !banned.has(end));
      expect(ends.length).toBeLessThanOrEqual(1);
      const pool = random() < 0.3 && ends.length > 0 ? ends : contentIds;
      id = pool[Math.floor(random() * pool.length)]!;
      expect(banned.has(id)).toBe(false);
    }
    mask.push(id);
    out.push(id);
  }
  return out;
}

const grammars: [MaskOptions, HeaderGrammar][] = (
  [
    {},
    { recipients: tools },
    { recipients: tools, mustCall: true },
    { recipients: ['functions.f'], preambles: false },
    { preambles: true, jsonFinal: true },
  ] as MaskOptions[]
).map((options) => [options, new HeaderGrammar(encoding, rows, options)]);

const randoms = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
  minLength: 1,
  maxLength: 60,
});

describe('sampling under the mask', () => {
  it('gives only turns that strict mode accepts and that have something to show', () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(fc.nat(grammars.length - 1), randoms, fc.nat(60), (which, values, steerAt) => {
        const [options, grammar] = grammars[which]!;
        const mask = new HarmonyMask(grammar);
        const stream = sample(mask, values, steerAt);
        if (mask.allowed().kind !== 'done') return; // cut by the limit
        const strict = parseTokens(encoding, stream, { mode: 'strict' });
        expect(strict.events.filter((event) => event.type === 'error')).toEqual([]);
        const turn = readTurn(encoding, stream, { tools: { builtins: ['python', 'browser.search'] } });
        expect(turn.problems).toEqual([]);
        expect(turn.fallback).toBeNull();
        expect(turn.finish).toBe(turn.calls.length > 0 ? 'call' : 'stop');
        for (const { recipient } of turn.calls) expect(options.recipients).toContain(recipient);
        if (options.mustCall) expect(turn.calls).toHaveLength(1);
        if (!options.recipients && !options.preambles) expect(turn.preambles).toEqual([]);
        kinds.add(turn.finish);
      }),
      { numRuns: 1000 },
    );
    expect([...kinds].sort()).toEqual(['call', 'stop']);
  });

  it('ends soon once steered', () => {
    fc.assert(
      fc.property(fc.nat(grammars.length - 1), randoms, (which, values) => {
        const stream = sample(new HarmonyMask(grammars[which]![1]), values, 0);
        const messages = parseTokens(encoding, stream).messages;
        expect(messages).toHaveLength(1);
        expect(messages[0]!.channel === 'final' || messages[0]!.recipient !== undefined).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the mask', () => {
  const grammar = new HeaderGrammar(encoding, rows, { recipients: tools });
  const maskAfter = (stream: string): HarmonyMask => {
    const mask = new HarmonyMask(grammar);
    for (const id of ids(stream)) mask.push(id);
    return mask;
  };
  const names = (stream: string): string[] => {
    const allowed = maskAfter(stream).allowed();
    return allowed.kind === 'ids' ? allowed.ids.map((id) => text([id])) : [allowed.kind];
  };
  const ends = (stream: string): string[] => {
    const allowed = maskAfter(stream).allowed();
    if (allowed.kind !== 'content') return [allowed.kind];
    return Object.values(encoding.ids)
      .filter((id) => !allowed.banned.includes(id))
      .map((id) => text([id]));
  };

  it('leaves both orders open', () => {
    expect(names('')).toEqual(expect.arrayContaining(['<|channel|>', ' to', ' ']));
    expect(names('<|channel|>')).toEqual(expect.arrayContaining(['analysis', 'final', 'comment']));
    expect(names('<|channel|>commentary')).toEqual(expect.arrayContaining(['<|message|>', ' to']));
    expect(names('<|channel|>final')).toEqual(['<|message|>']);
    expect(names(' to=functions.f')).toEqual(['<|channel|>']);
    expect(names(' to=functions.f<|channel|>commentary')).toEqual(
      expect.arrayContaining(['<|message|>', ' ', ' json']),
    );
    expect(names('<|channel|>commentary to=functions.f json')).toEqual(['<|message|>']);
    expect(names('<|channel|>commentary to=functions.f <|constrain|>')).toEqual(['j', 'json', 'js']);
  });

  it('lets a recipient go on where another one ends', () => {
    expect(names(' to=functions.get')).toEqual(expect.arrayContaining(['<|channel|>', '_weather']));
    expect(names(' to=functions.get_weather')).toEqual(['<|channel|>']);
  });

  it('allows the one terminator that fits, and none for an answer that shows nothing yet', () => {
    expect(ends('<|channel|>analysis<|message|>')).toEqual(['<|end|>']);
    expect(ends('<|channel|>final<|message|>')).toEqual([]);
    expect(ends('<|channel|>final<|message|> \n')).toEqual([]);
    expect(ends('<|channel|>final<|message|>4')).toEqual(['<|return|>']);
    expect(ends('<|channel|>commentary<|message|>4')).toEqual(['<|end|>']);
    expect(ends(' to=python<|channel|>analysis code<|message|>4')).toEqual(['<|call|>']);
    expect(ends('<|channel|>final<|message|>4<|return|>')).toEqual(['done']);
    expect(names('<|channel|>analysis<|message|><|end|>')).toEqual(['<|start|>']);
  });

  it('bans every id without text inside content', () => {
    const allowed = maskAfter('<|channel|>final<|message|>4').allowed();
    if (allowed.kind !== 'content') throw new Error('expected content');
    const banned = [...allowed.banned];
    expect(banned).toEqual([...banned].sort((x, y) => x - y));
    expect(banned).toEqual(expect.arrayContaining([199_998, 199_999, 200_013, 200_018, 201_087, 200_006, 200_012]));
    expect(banned.every((id) => encoding.textBytes(id) === null)).toBe(true);
    expect(banned).toHaveLength(rows - 199_998 - 1);
  });

  it('is free after tokens that it did not allow, until the next message', () => {
    expect(maskAfter('hello').allowed()).toEqual({ kind: 'free' });
    expect(maskAfter('<|channel|>final<|message|>x<|end|>').allowed()).toEqual({ kind: 'free' });
    expect(names('hello<|start|>')).toContain('assistant');
  });

  it('refuses recipients that no header can hold', () => {
    for (const recipient of ['', 'a b', '天気', '<|call|>', 'assistant', 'x'.repeat(300)]) {
      expect(() => new HeaderGrammar(encoding, rows, { recipients: [recipient] })).toThrow(/cannot stand in a header/);
    }
    expect(() => new HeaderGrammar(encoding, rows, { mustCall: true })).toThrow(/no tool/);
  });

  it.skipIf(!hasShared('models', 'seed-tiny', 'expected.json'))(
    'allows every token of the 71 outputs of the tiny model (needs ../shared/models/seed-tiny)',
    () => {
      const tiny = tinyEncoding().encoding;
      const { cases } = JSON.parse(readFileSync(sharedPath('models', 'seed-tiny', 'expected.json'), 'utf8'));
      const names = ['calculate', 'get_weather', 'get_current_weather'].map((name) => `functions.${name}`);
      const own = new HeaderGrammar(tiny, 1024, { recipients: ['python', ...names] });
      for (const { id, output_ids } of cases as { id: string; output_ids: number[] }[]) {
        const mask = new HarmonyMask(own);
        for (const token of output_ids) {
          const allowed = mask.allowed();
          const isAllowed =
            allowed.kind === 'ids'
              ? allowed.ids.includes(token)
              : allowed.kind === 'content' && !allowed.banned.includes(token);
          expect(isAllowed, `${id}: ${token}`).toBe(true);
          mask.push(token);
        }
        expect(mask.allowed().kind).toBe('done');
      }
    },
  );
});
