// A grammar: rules that say which values may stand somewhere, and the places a text can be in while it is read. A place is a
// set of stacks (all readings of the text so far that can still be finished) kept as a graph whose common parts are shared,
// so that alternatives that differ late cost what they differ in and not their product.
// Owns stacks, steps by bytes, and the bound on nesting. Refuses tokens: masks.ts.

import { deepestNesting, type Machine } from './machine.ts';

/** What may stand somewhere: one of these machines. */
export type Rule = readonly number[];

/** Stacks whose topmost state is `state`. */
interface Frame {
  readonly state: number; // index of the machine · 2^30 + its own state
  readonly below: Stacks;
}

/** What a value returns to when it ends. */
export interface Stacks {
  readonly id: number;
  /** Containers that are open. */
  readonly depth: number;
  readonly frames: readonly Frame[]; // by state, ascending, each once
  /** Where reading goes on; filled in when first needed. */
  after: Place | null;
}

export interface PlacePart extends Frame {
  readonly machine: Machine;
  /** State of the machine. */
  readonly own: number;
}

/** Everything that may come next. Equal places of a grammar are one object, until it forgets them. */
export interface Place {
  readonly parts: readonly PlacePart[];
  /** Whether the text may end here. */
  readonly mayEnd: boolean;
  /** By byte; filled in as asked for. */
  next: (Place | null | undefined)[] | null;
  /** Only the parts that are containers; filled in when first needed, null: there are none. */
  structure: Place | null | undefined;
}

const STATES = 2 ** 30;
const DONE = -1; // the state below all others: the whole text has been read
const stretch = 1_000; // machines between two yields
const mostPlaces = 5_000; // kept; then all are forgotten, and found again where needed

export class Grammar {
  readonly machines: readonly Machine[];
  readonly rules: readonly Rule[];
  readonly #needs: Float64Array; // by machine: containers that its values nest at least
  readonly #root: number;
  #stacks = new Map<string, Stacks>();
  #unions = new Map<number, Stacks>();
  #places = new Map<string, Place>();
  #stackCount = 0;
  #start!: Place;

  /** `needs`: by rule, shared with the machines; filled in here, infinite where a rule has no value at all. In steps. */
  static *making(
    machines: readonly Machine[],
    rules: readonly Rule[],
    root: number,
    needs: number[],
  ): Generator<void, Grammar> {
    return new Grammar(machines, rules, root, yield* leastNesting(machines, rules, needs));
  }

  private constructor(machines: readonly Machine[], rules: readonly Rule[], root: number, needs: Float64Array) {
    this.machines = machines;
    this.rules = rules;
    this.#needs = needs;
    this.#root = root;
    this.#forget();
  }

  /** Before anything has been read. */
  get start(): Place {
    return this.#start;
  }

  /** The place after a byte; null: no text goes on this way. */
  step(place: Place, byte: number): Place | null {
    const known = place.next?.[byte];
    if (known !== undefined) return known;
    let found: Frame[] | null = null;
    for (const { machine, own, state, below } of place.parts) {
      const next =
        machine.kind === 'scalar' ? machine.step(own, byte) : machine.step(own, byte, deepestNesting - below.depth - 1);
      if (next < 0) continue;
      found ??= [];
      found.push({ state: state - own + next, below });
    }
    const after = found === null ? null : this.#settle(found);
    place.next ??= new Array(256);
    place.next[byte] = after;
    return after;
  }

  /** Where reading goes on when the value on top of these stacks has ended. */
  after(below: Stacks): Place {
    below.after ??= this.#settle(below.frames);
    return below.after;
  }

  /** The parts of a place that are containers, as a place of its own; null: there are none. */
  structure(place: Place): Place | null {
    if (place.structure === undefined) {
      const parts = place.parts.filter(({ machine }) => machine.kind === 'container');
      const isAll = parts.length === place.parts.length;
      place.structure = parts.length === 0 ? null : isAll ? place : this.#intern(parts, false);
    }
    return place.structure;
  }

  /** Frees what has grown while reading. Places in use stay valid. */
  tidy(): void {
    if (this.#places.size > mostPlaces) this.#forget();
  }

  #forget(): void {
    this.#stacks = new Map();
    this.#unions = new Map();
    this.#places = new Map();
    const none: Stacks = { id: this.#stackCount++, depth: -1, frames: [], after: null };
    const bottom: Stacks = { id: this.#stackCount++, depth: 0, frames: [{ state: DONE, below: none }], after: null };
    this.#start = this.#settle(this.#begin(this.#root, bottom));
  }

  #begin(rule: number, below: Stacks): Frame[] {
    const room = deepestNesting - below.depth;
    const frames: Frame[] = [];
    for (const machine of this.rules[rule]) {
      if (this.#needs[machine] <= room) frames.push({ state: machine * STATES, below });
    }
    return frames;
  }

  /** Follows everything that happens without a byte: values that end here, values that may begin. */
  #settle(frames: readonly Frame[]): Place {
    const todo = [...frames];
    const seen = new Map<number, Stacks[]>();
    let mayEnd = false;
    while (todo.length > 0) {
      const { state, below } = todo.pop()!;
      if (state === DONE) {
        mayEnd = true;
        continue;
      }
      const had = seen.get(state);
      if (had === undefined) seen.set(state, [below]);
      else if (had.includes(below)) continue;
      else had.push(below);
      const machine = this.machines[Math.floor(state / STATES)];
      const own = state % STATES;
      if (machine.kind === 'scalar') {
        if (machine.accepts(own)) todo.push(...below.frames);
      } else if (machine.isOver(own)) todo.push(...below.frames);
      else {
        for (const { rule, resume } of machine.openings(own, deepestNesting - below.depth - 1)) {
          const inner = this.#stack([{ state: state - own + resume, below }], below.depth + 1);
          todo.push(...this.#begin(rule, inner));
        }
      }
    }
    const kept: Frame[] = [];
    for (const [state, belows] of seen) {
      if (this.machines[Math.floor(state / STATES)].isOver(state % STATES)) continue;
      kept.push({ state, below: belows.reduce((one, two) => this.#union(one, two)) });
    }
    return this.#intern(kept.sort(byState), mayEnd);
  }

  #intern(frames: readonly Frame[], mayEnd: boolean): Place {
    const key = keyOf(frames) + (mayEnd ? '!' : '');
    let place = this.#places.get(key);
    if (place === undefined) {
      const parts = frames.map(({ state, below }) => {
        return { state, below, own: state % STATES, machine: this.machines[Math.floor(state / STATES)] };
      });
      place = { parts, mayEnd, next: null, structure: undefined };
      this.#places.set(key, place);
    }
    return place;
  }

  #stack(frames: readonly Frame[], depth: number): Stacks {
    const key = keyOf(frames);
    let stacks = this.#stacks.get(key);
    if (stacks === undefined) {
      stacks = { id: this.#stackCount++, depth, frames, after: null };
      this.#stacks.set(key, stacks);
    }
    return stacks;
  }

  /** All stacks of both. Both have read the same text, so as many containers are open in them. */
  #union(one: Stacks, two: Stacks): Stacks {
    if (one === two) return one;
    const key = Math.min(one.id, two.id) * 2 ** 26 + Math.max(one.id, two.id);
    const known = this.#unions.get(key);
    if (known !== undefined) return known;
    const merged = new Map<number, Stacks>();
    for (const { state, below } of [...one.frames, ...two.frames]) {
      const had = merged.get(state);
      merged.set(state, had === undefined ? below : this.#union(had, below));
    }
    const frames = [...merged].map(([state, below]) => ({ state, below })).sort(byState);
    const union = this.#stack(frames, one.depth);
    this.#unions.set(key, union);
    return union;
  }
}

function byState(one: Frame, two: Frame): number {
  return one.state - two.state;
}

function keyOf(frames: readonly Frame[]): string {
  let key = '';
  for (const { state, below } of frames) key += `${state}.${below.id},`;
  return key;
}

/** By machine, the least number of containers in each other that a value needs; fills in the same by rule. More than the
 *  deepest nesting counts as infinite: there is no such value. */
function* leastNesting(
  machines: readonly Machine[],
  rules: readonly Rule[],
  ofRule: number[],
): Generator<void, Float64Array> {
  const ofMachine = new Float64Array(machines.length).fill(Number.POSITIVE_INFINITY);
  ofRule.fill(Number.POSITIVE_INFINITY);
  for (let hasChanged = true; hasChanged; ) {
    hasChanged = false;
    for (const [i, machine] of machines.entries()) {
      if (i % stretch === stretch - 1) yield;
      const need = machine.kind === 'scalar' ? 0 : 1 + machine.nesting();
      ofMachine[i] = need > deepestNesting ? Number.POSITIVE_INFINITY : need;
    }
    yield;
    for (const [i, rule] of rules.entries()) {
      const need = rule.reduce((least, machine) => Math.min(least, ofMachine[machine]), Number.POSITIVE_INFINITY);
      hasChanged ||= need !== ofRule[i];
      ofRule[i] = need;
    }
  }
  return ofMachine;
}
