// The structure of a JSON object: declared properties in the order of their declaration, optional ones left out at will,
// then any others that the schema allows. Keys of ten thousand properties are one tree; which of them may come is a range
// of their numbers. Owns braces, keys, colons and commas; values are rules of the grammar.

import { afterSpace, type ContainerMachine, type Opening } from './machine.ts';

export interface ObjectProperty {
  readonly key: string;
  readonly rule: number;
  readonly isRequired: boolean;
}

/** Rules of keys that are not declared, and of their values. */
export interface OtherProperties {
  readonly keyRule: number;
  readonly rule: number;
}

export interface ObjectShape {
  readonly properties: readonly ObjectProperty[];
  readonly others: readonly OtherProperties[];
}

const START = 0;
const FIRST = 1; // after the brace
const NEXT = 2; // after a comma; index: the property before it
const KEY = 3; // in a declared key; detail: node of the tree
const KEYED = 4; // after a key; index: its property, or the number of properties + the index among others
const VALUE = 5; // after the colon
const AFTER = 6; // after a value
const OVER = 7;

const stretch = 500; // properties between two yields
const utf8 = new TextEncoder();

interface KeyNode {
  readonly children: Map<number, KeyNode>;
  readonly properties: number[]; // below it, ascending
}

export class ObjectMachine implements ContainerMachine {
  readonly kind = 'container';
  readonly shape: ObjectShape;
  readonly #needs: ArrayLike<number>; // by rule
  readonly #root: KeyNode = { children: new Map(), properties: [] };
  readonly #nodes: KeyNode[] = [];
  readonly #nodeNumbers = new Map<KeyNode, number>();
  /** By property + 1: the first required one from there on, or the number of properties. */
  readonly #nextRequired: Int32Array;
  // States, numbered as they are met.
  readonly #numbers = new Map<number, number>();
  readonly #phase: number[] = [];
  readonly #index: number[] = [];
  readonly #detail: number[] = [];

  /** `needs`: how many containers the values of each rule nest at least. Read when states are stepped, not before. Built in
   *  steps. */
  static *making(shape: ObjectShape, needs: ArrayLike<number>): Generator<void, ObjectMachine> {
    const machine = new ObjectMachine(shape, needs);
    for (let i = 0; i < shape.properties.length; i++) {
      machine.#add(shape.properties[i].key, i);
      if (i % stretch === stretch - 1) yield;
    }
    return machine;
  }

  private constructor(shape: ObjectShape, needs: ArrayLike<number>) {
    this.shape = shape;
    this.#needs = needs;
    const { properties } = shape;
    const count = properties.length;
    this.#nextRequired = new Int32Array(count + 2).fill(count);
    for (let i = count - 1; i >= 0; i--) {
      this.#nextRequired[i] = properties[i].isRequired ? i : this.#nextRequired[i + 1];
    }
    this.#state(START, -1, 0);
  }

  #add(key: string, property: number): void {
    let node = this.#root;
    for (const byte of utf8.encode(JSON.stringify(key))) {
      let child = node.children.get(byte);
      if (child === undefined) {
        child = { children: new Map(), properties: [] };
        node.children.set(byte, child);
      }
      child.properties.push(property);
      node = child;
    }
  }

  step(state: number, byte: number, room: number): number {
    const index = this.#index[state];
    const detail = this.#detail[state];
    switch (this.#phase[state]) {
      case START:
        return byte === 0x7b ? this.#state(FIRST, -1, 0) : -1;
      case FIRST:
        if (byte === 0x7d) return this.#mayClose(-1) ? this.#state(OVER, 0, 0) : -1;
        return byte === 0x22 ? this.#key(this.#root, -1, byte, room) : this.#space(FIRST, index, detail, byte, room);
      case NEXT:
        if (byte === 0x22) return this.#key(this.#root, index, byte, room);
        return this.#space(NEXT, index, detail, byte, room);
      case KEY:
        return this.#key(this.#nodes[detail], index, byte, room);
      case KEYED:
        return byte === 0x3a ? this.#state(VALUE, index, 0) : -1;
      case VALUE:
        return byte === 0x20 && detail === 0 ? this.#state(VALUE, index, 1) : -1;
      case AFTER:
        if (byte === 0x2c && detail === 0) return this.#mayGoOn(index, room) ? this.#state(NEXT, index, 0) : -1;
        if (!this.#mayClose(index)) return -1;
        return byte === 0x7d ? this.#state(OVER, 0, 0) : this.#space(AFTER, index, detail, byte, room);
    }
    return -1;
  }

  openings(state: number, room: number): readonly Opening[] {
    const phase = this.#phase[state];
    const index = this.#index[state];
    const { properties, others } = this.shape;
    if (phase === VALUE) {
      const { rule } = index < properties.length ? properties[index] : others[index - properties.length];
      return [{ rule, resume: this.#state(AFTER, Math.min(index, properties.length), 0) }];
    }
    if ((phase !== FIRST && phase !== NEXT) || !this.#mayClose(index)) return [];
    const openings: Opening[] = [];
    for (const [i, { keyRule, rule }] of others.entries()) {
      if (this.#needs[rule] > room) continue;
      openings.push({ rule: keyRule, resume: this.#state(KEYED, properties.length + i, 0) });
    }
    return openings;
  }

  isOver(state: number): boolean {
    return this.#phase[state] === OVER;
  }

  nesting(): number {
    let most = 0;
    for (const { isRequired, rule } of this.shape.properties) if (isRequired) most = Math.max(most, this.#needs[rule]);
    return most;
  }

  #state(phase: number, index: number, detail: number): number {
    const key = (detail * 0x200000 + (index + 1)) * 8 + phase;
    let state = this.#numbers.get(key);
    if (state === undefined) {
      state = this.#phase.push(phase) - 1;
      this.#index.push(index);
      this.#detail.push(detail);
      this.#numbers.set(key, state);
    }
    return state;
  }

  #space(phase: number, index: number, detail: number, byte: number, room: number): number {
    const next = afterSpace(detail, byte, room);
    return next < 0 ? -1 : this.#state(phase, index, next);
  }

  #mayClose(index: number): boolean {
    return this.#nextRequired[index + 1] === this.shape.properties.length;
  }

  #mayAddOthers(index: number, room: number): boolean {
    return this.#mayClose(index) && this.shape.others.some(({ rule }) => this.#needs[rule] <= room);
  }

  #mayGoOn(index: number, room: number): boolean {
    const count = this.shape.properties.length;
    const last = Math.min(this.#nextRequired[Math.min(index, count - 1) + 1], count - 1);
    for (let i = index + 1; i <= last; i++) if (this.#needs[this.shape.properties[i].rule] <= room) return true;
    return this.#mayAddOthers(index, room);
  }

  /** Goes one byte further in a declared key. `index`: the property before. */
  #key(from: KeyNode, index: number, byte: number, room: number): number {
    const node = from.children.get(byte);
    if (node === undefined) return -1;
    const { properties } = this.shape;
    const last = Math.min(this.#nextRequired[Math.min(index, properties.length - 1) + 1], properties.length - 1);
    const found = firstAbove(node.properties, index);
    for (let i = found; i < node.properties.length && node.properties[i] <= last; i++) {
      const property = node.properties[i];
      if (this.#needs[properties[property].rule] > room) continue;
      // A closing quote is in one key only: where a node has no children, the key is complete.
      return node.children.size === 0 ? this.#state(KEYED, property, 0) : this.#state(KEY, index, this.#number(node));
    }
    return -1;
  }

  #number(node: KeyNode): number {
    let number = this.#nodeNumbers.get(node);
    if (number === undefined) {
      number = this.#nodes.push(node) - 1;
      this.#nodeNumbers.set(node, number);
    }
    return number;
  }
}

/** Index of the first element above `value` in an ascending list. */
function firstAbove(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
