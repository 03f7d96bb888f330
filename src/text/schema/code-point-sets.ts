// Sets of Unicode scalar values as sorted ranges, for the automata that texts are held to. Surrogates are in no set: text
// that a model writes is UTF-8, and a lone surrogate cannot be spelled in it.
// Refuses names of properties that JavaScript does not know. Next: pattern.ts, which reads classes into sets.

import { finish, type WorkLimit } from './work-limit.ts';

/** Pairs of first and last code point, ascending, not touching each other. */
export type CodePointSet = readonly number[];

export const LAST_CODE_POINT = 0x10ffff;
const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

export const everything: CodePointSet = [0, FIRST_SURROGATE - 1, LAST_SURROGATE + 1, LAST_CODE_POINT];
export const nothing: CodePointSet = [];

/** Any pairs, in any order, overlapping or not. */
export function setOf(pairs: readonly number[]): CodePointSet {
  const ranges: [number, number][] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const low = pairs[i];
    const high = pairs[i + 1];
    if (low < FIRST_SURROGATE && high > LAST_SURROGATE) {
      ranges.push([low, FIRST_SURROGATE - 1], [LAST_SURROGATE + 1, high]);
      continue;
    }
    const from = low >= FIRST_SURROGATE && low <= LAST_SURROGATE ? LAST_SURROGATE + 1 : low;
    const to = high >= FIRST_SURROGATE && high <= LAST_SURROGATE ? FIRST_SURROGATE - 1 : high;
    if (from <= to) ranges.push([from, to]);
  }
  ranges.sort((a, b) => a[0] - b[0]);
  const set: number[] = [];
  for (const [low, high] of ranges) {
    const last = set.length - 1;
    if (last > 0 && low <= set[last] + 1) set[last] = Math.max(set[last], high);
    else set.push(low, high);
  }
  return set;
}

export function complement(set: CodePointSet): CodePointSet {
  const pairs: number[] = [];
  let from = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i] > from) pairs.push(from, set[i] - 1);
    from = set[i + 1] + 1;
  }
  if (from <= LAST_CODE_POINT) pairs.push(from, LAST_CODE_POINT);
  return setOf(pairs);
}

export const digits: CodePointSet = [0x30, 0x39];
export const wordCharacters: CodePointSet = setOf([0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a]);
/** What `\s` means in JavaScript. */
export const spaces: CodePointSet = setOf([
  ...[0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f],
  ...[0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff],
]);
export const lineEnds: CodePointSet = setOf([0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029]);

const properties = new Map<string, CodePointSet>();
const mostProperties = 64; // kept; names come from requests
const stepsOfProperty = 200_000; // it is asked of every code point
const stretch = 1 << 14; // units of text between two yields; even, so that no pair above the surrogates is cut
let allText: string | undefined;

/** Finds the members of all properties that a pattern names, in steps; parsing it then is quick. */
export function* readingProperties(pattern: string, work: WorkLimit): Generator<void, void> {
  for (const { 1: name } of pattern.slice(0, 10_000).matchAll(/\\[pP]\{([^}]{1,90})\}/g)) {
    if (allText === undefined) {
      allText = yield* everyCodePoint();
      yield;
    }
    const members = properties.has(name) ? null : propertyExpression(name);
    if (members === null) continue;
    work.spend(stepsOfProperty);
    const pairs: number[] = [];
    for (let from = 0; from < allText.length; from += stretch) {
      addRuns(allText.slice(from, from + stretch), members, pairs);
      yield;
    }
    keep(name, setOf(pairs));
  }
}

/** Members of `\p{name}`; null when JavaScript knows no such property. */
export function propertySet(name: string, work: WorkLimit): CodePointSet | null {
  const known = properties.get(name);
  if (known !== undefined) return known;
  const members = propertyExpression(name);
  if (members === null) return null;
  work.spend(stepsOfProperty);
  allText ??= finish(everyCodePoint());
  const pairs: number[] = [];
  addRuns(allText, members, pairs);
  return keep(name, setOf(pairs));
}

function propertyExpression(name: string): RegExp | null {
  if (!/^\w{1,40}(?:=\w{1,40})?$/.test(name)) return null;
  try {
    return new RegExp(`\\p{${name}}+`, 'gu');
  } catch {
    return null;
  }
}

function addRuns(text: string, members: RegExp, pairs: number[]): void {
  for (const { 0: run } of text.matchAll(members)) {
    // In a text of code points in order these stand side by side; the last of a run is half a pair or all of it.
    const last = run.codePointAt(run.length - 2)!;
    pairs.push(run.codePointAt(0)!, last > 0xffff ? last : run.codePointAt(run.length - 1)!);
  }
}

function keep(name: string, set: CodePointSet): CodePointSet {
  if (properties.size >= mostProperties) properties.clear();
  properties.set(name, set);
  return set;
}

function* everyCodePoint(): Generator<void, string> {
  const parts: string[] = [];
  for (let from = 0; from <= LAST_CODE_POINT; from += 0x400) {
    if (from >= FIRST_SURROGATE && from <= LAST_SURROGATE) continue;
    if (from % 0x10000 === 0) yield;
    parts.push(String.fromCodePoint(...Array.from({ length: 0x400 }, (_, i) => from + i)));
  }
  return parts.join('');
}
