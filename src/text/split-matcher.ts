// Runs a split expression over UTF-8: leftmost match, alternatives in order, greedy with backtracking. Text between
// matches becomes pieces of its own (tokenizer.json calls this "Isolated"), so nothing is lost.
// Work and memory are bounded: an expression that backtracks without end on some text is refused at that point, with an
// error instead of a hung process. o200k has a faster scanner of its own, o200k-splitter.ts.

import { GptOssError } from '../errors.ts';
import { pointAt, pointLength } from './code-points.ts';
import type { Splitter } from './o200k-splitter.ts';
import { type CodePointSet, type Instruction, parseSplitPattern } from './split-pattern.ts';

/** o200k's expression takes about 6 steps a byte. */
const stepsPerByte = 400;
const freeSteps = 1_000_000;
const deepestStack = 1 << 20;

export function patternSplitter(pattern: string): Splitter {
  const { code, sets } = parseSplitPattern(pattern);
  const members = sets.map((set) => new SetMembers(set));
  return (bytes, length, onPiece) => {
    const match = new Match(code, members, bytes, length);
    let start = 0;
    for (let at = 0; at < length; ) {
      const end = match.from(at);
      if (end < 0) {
        at += pointLength(bytes[at]);
        continue;
      }
      if (at > start) onPiece(start, at);
      onPiece(at, end);
      start = end;
      at = end;
    }
    if (length > start) onPiece(start, length);
  };
}

/** Membership in a set of code points, worked out for 256 at a time and kept as bits. */
class SetMembers {
  readonly #test: RegExp;
  readonly #pages: (Uint32Array | undefined)[] = new Array(0x1100).fill(undefined);

  constructor(set: CodePointSet) {
    this.#test = new RegExp(`^${set.source}$`, set.ignoresCase ? 'iu' : 'u');
  }

  has(point: number): boolean {
    const page = this.#pages[point >> 8] ?? this.#build(point >> 8);
    return ((page[(point & 255) >> 5] >>> (point & 31)) & 1) === 1;
  }

  #build(index: number): Uint32Array {
    const page = new Uint32Array(8);
    for (let i = 0; i < 256; i++) {
      if (this.#test.test(String.fromCodePoint(index * 256 + i))) page[i >> 5] |= 1 << (i & 31);
    }
    this.#pages[index] = page;
    return page;
  }
}

/** The state of matching over one text. */
class Match {
  readonly #code: readonly Instruction[];
  readonly #sets: readonly SetMembers[];
  readonly #bytes: Uint8Array;
  readonly #length: number;
  #steps: number;
  /** Places to go back to: instruction, position, lowest position (-1: just the one). */
  readonly #stack: number[] = [];

  constructor(code: readonly Instruction[], sets: readonly SetMembers[], bytes: Uint8Array, length: number) {
    this.#code = code;
    this.#sets = sets;
    this.#bytes = bytes;
    this.#length = length;
    this.#steps = freeSteps + stepsPerByte * length;
  }

  /** End of the match that begins at `start`, or -1. */
  from(start: number): number {
    return this.#run(0, start);
  }

  /** Runs up to the `accept` of this level. Recursion is as deep as lookaheads and atomic groups are nested. */
  #run(firstInstruction: number, start: number): number {
    const floor = this.#stack.length;
    let pc = firstInstruction;
    let at = start;
    for (;;) {
      this.#spend(1);
      const step = this.#code[pc];
      let isAlive = true;
      switch (step.op) {
        case 'accept':
          this.#stack.length = floor;
          return at;
        case 'set':
          isAlive = at < this.#length && this.#sets[step.set].has(pointAt(this.#bytes, at));
          if (isAlive) {
            at += pointLength(this.#bytes[at]);
            pc++;
          }
          break;
        case 'run': {
          const end = this.#runOfSet(step, pc, at);
          isAlive = end >= 0;
          if (isAlive) {
            at = end;
            pc++;
          }
          break;
        }
        case 'split':
          this.#save(step.other, at, -1);
          pc++;
          break;
        case 'jump':
          pc = step.to;
          break;
        case 'look':
          isAlive = this.#run(pc + 1, at) >= 0 !== step.negative;
          pc = step.to;
          break;
        case 'atomic': {
          const end = this.#run(pc + 1, at);
          isAlive = end >= 0;
          at = end;
          pc = step.to;
          break;
        }
      }
      if (isAlive) continue;
      if (this.#stack.length === floor) return -1;
      const lowest = this.#stack.pop()!;
      at = this.#stack.pop()!;
      pc = this.#stack.pop()!;
      if (lowest < 0) continue;
      do at--;
      while ((this.#bytes[at] & 0xc0) === 0x80);
      if (at > lowest) this.#save(pc, at, lowest);
    }
  }

  /** Takes as many code points of the set as allowed; -1 when there are too few. */
  #runOfSet(step: Instruction & { op: 'run' }, pc: number, start: number): number {
    const set = this.#sets[step.set];
    let at = start;
    let least = step.min === 0 ? start : -1; // position after the fewest allowed
    for (let count = 0; count < step.max && at < this.#length && set.has(pointAt(this.#bytes, at)); ) {
      at += pointLength(this.#bytes[at]);
      if (++count === step.min) least = at;
    }
    this.#spend(at - start);
    if (least < 0) return -1;
    if (at > least && !step.possessive) this.#save(pc + 1, at, least);
    return at;
  }

  #save(pc: number, at: number, lowest: number): void {
    if (this.#stack.length >= deepestStack) throw tooMuch();
    this.#stack.push(pc, at, lowest);
  }

  #spend(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw tooMuch();
  }
}

function tooMuch(): GptOssError {
  return new GptOssError(
    'bad-tokenizer',
    'the pre-tokenizer expression backtracks without end on this text; expected work in proportion to the text; ' +
      'use the original tokenizer of the model',
  );
}
