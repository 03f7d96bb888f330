// For the tests of structured output: the two vocabularies, samplers that take any allowed token, and layouts of values.
// Not shipped.

import { seedModel } from '../../../test/shared.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { packagedO200k } from '../o200k-harmony.node.ts';
import { tokenizerFrom } from '../tokenizer.ts';
import { Vocabulary } from '../vocabulary.ts';
import type { Grammar, Place } from './grammar.ts';
import type { AllowedTokens } from './masks.ts';
import { CompiledFormat } from './output-format.ts';

let bytes: Vocabulary | undefined;
let tiny: Vocabulary | undefined;

/** One token for each byte. */
export function byteVocabulary(): Vocabulary {
  bytes ??= Vocabulary.of(Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)));
  return bytes;
}

/** The tiny model's. */
export function tinyVocabulary(): Vocabulary {
  tiny ??= tokenizerFrom(openCheckpoint(seedModel).tokenizer!).vocabulary;
  return tiny;
}

export const o200kVocabulary = packagedO200k;

/** Numbers in [0, 1), the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function idsOf(tokens: AllowedTokens): number[] {
  if (tokens.kind === 'ids') return [...tokens.ids];
  const ids: number[] = [];
  for (const [word, set] of tokens.bits.entries()) {
    for (let rest = set; rest !== 0; rest &= rest - 1) ids.push(word * 32 + 31 - Math.clz32(rest & -rest));
  }
  return ids;
}

export function allows(tokens: AllowedTokens, id: number): boolean {
  return tokens.kind === 'ids' ? tokens.ids.includes(id) : ((tokens.bits[id >> 5] ?? 0) >>> (id & 31)) % 2 === 1;
}

/** One of the allowed ids; of many, one after a random place. -1: there are none. */
function pick(tokens: AllowedTokens, random: () => number): number {
  if (tokens.kind === 'ids') return tokens.ids[Math.floor(random() * tokens.ids.length)] ?? -1;
  const words = tokens.bits.length;
  const start = Math.floor(random() * words);
  for (let i = 0; i < words; i++) {
    const word = (start + i) % words;
    if (tokens.bits[word] === 0) continue;
    const ids = idsOf({ kind: 'bits', bits: tokens.bits.subarray(word, word + 1) });
    return word * 32 + ids[Math.floor(random() * ids.length)];
  }
  return -1;
}

export interface Sampled {
  readonly text: string;
  /** Of the part that was sampled. */
  readonly ids: readonly number[];
}

/** Bytes in the order in which they are likely to bring a text to its end. */
const byteOrder = [
  ...new TextEncoder().encode('"}]:,0'),
  ...Array.from({ length: 0x60 }, (_, i) => 0x20 + i),
  ...Array.from({ length: 0x80 }, (_, i) => 0x80 + i),
  0x0a,
];
const opens = (byte: number): boolean => byte === 0x5b || byte === 0x7b; // [ {

/** Bytes that complete a text; an error when there are none. A schema that contains itself could be followed down for
 *  ever: where no end is found soon, brackets are opened as little as can be. */
export function completion(grammar: Grammar, from: Place): number[] {
  let bytes = completionWithin(grammar, from, Number.POSITIVE_INFINITY, 20_000);
  for (let brackets = 1; bytes === null && brackets <= 64; brackets *= 2) {
    bytes = completionWithin(grammar, from, brackets, Number.POSITIVE_INFINITY);
  }
  if (bytes === null) throw new Error('a place from which no end can be reached');
  return bytes;
}

/** With at most so many opening brackets, looking at so many places; null: there is none. */
function completionWithin(grammar: Grammar, from: Place, brackets: number, places: number): number[] | null {
  const seen = new Set<Place>([from]);
  const path = [{ place: from, tried: 0, byte: -1, opened: 0 }];
  while (path.length > 0 && seen.size <= places) {
    const top = path[path.length - 1];
    if (top.place.mayEnd) return path.slice(1).map(({ byte }) => byte);
    if (top.tried === byteOrder.length) {
      path.pop();
      continue;
    }
    const byte = byteOrder[top.tried++];
    const opened = top.opened + (opens(byte) ? 1 : 0);
    if (opened > brackets) continue;
    const place = grammar.step(top.place, byte);
    if (place === null || seen.has(place)) continue;
    seen.add(place);
    path.push({ place, tried: 0, byte, opened });
  }
  return null;
}

/** Takes allowed tokens at random until the text ends, or after `most` of them completes it as soon as it can. */
export function sampleText(format: CompiledFormat, vocabulary: Vocabulary, random: () => number, most = 60): Sampled {
  const end = vocabulary.size;
  const constraint = format.constraint(end);
  const ids: number[] = [];
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let place = format.grammar.start;
  while (ids.length < most) {
    const allowed = constraint.allowed();
    if (constraint.mayEnd !== allows(allowed, end)) throw new Error('the end is not where it should be');
    let id = pick(allowed, random);
    if (id < 0) throw new Error(`nothing may come after ${show(ids, vocabulary)}`);
    if (constraint.mayEnd && random() < 0.5) id = end;
    if (id === end) break;
    if (!constraint.push(id)) throw new Error(`the mask allows ${id}, the constraint does not`);
    ids.push(id);
    for (const byte of vocabulary.token(id)) place = format.grammar.step(place, byte)!;
  }
  const rest = completion(format.grammar, place);
  return { text: decoder.decode(Uint8Array.from([...join(ids, vocabulary), ...rest])), ids };
}

function join(ids: readonly number[], vocabulary: Vocabulary): Uint8Array {
  return Uint8Array.from(ids.flatMap((id) => [...vocabulary.token(id)]));
}

function show(ids: readonly number[], vocabulary: Vocabulary): string {
  return new TextDecoder().decode(join(ids, vocabulary));
}

/** Whether a grammar allows a text, byte by byte. */
export function grammarAccepts(grammar: Grammar, text: string): boolean {
  return new CompiledFormat(grammar, byteVocabulary()).accepts(text);
}

/** How many orders a value has. */
export function orderCount(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  const inner = Object.values(value);
  const own = Array.isArray(value) ? 1 : inner.reduce((product: number, _, i) => product * (i + 1), 1);
  return inner.reduce((product: number, one) => product * orderCount(one), own);
}

/** A value in every order of the keys of its objects. */
export function orders(value: unknown): unknown[] {
  if (Array.isArray(value)) {
    return value.reduce((all: unknown[][], item) => all.flatMap((one) => orders(item).map((x) => [...one, x])), [[]]);
  }
  if (typeof value !== 'object' || value === null) return [value];
  const entries = Object.entries(value).map(([key, item]) => orders(item).map((x): [string, unknown] => [key, x]));
  return permutations(entries).flatMap((list) =>
    list
      .reduce((all: [string, unknown][][], options) => all.flatMap((one) => options.map((x) => [...one, x])), [[]])
      .map((pairs) => Object.fromEntries(pairs)),
  );
}

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((first, i) =>
    permutations([...list.slice(0, i), ...list.slice(i + 1)]).map((rest) => [first, ...rest]),
  );
}
