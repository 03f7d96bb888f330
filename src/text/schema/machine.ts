// The interface of everything that reads bytes one at a time within a grammar: texts, literals, objects, arrays; and the
// rule for white space, which objects and arrays share.
// A machine is deterministic and knows only itself; what lies around it is the grammar's stack (grammar.ts).

/** Reads one scalar value. States are numbers from 0 below 2^30; 0 is the start. From every state that `step` returns the
 *  end can be reached. */
export interface ScalarMachine {
  readonly kind: 'scalar';
  /** State after a byte, or -1. */
  step(state: number, byte: number): number;
  /** Whether the value may end here. */
  accepts(state: number): boolean;
  /** Whether it ends here whatever comes. */
  isOver(state: number): boolean;
}

/** What a container asks of the grammar in a state: values that may begin here, and the state after them. */
export interface Opening {
  /** Index of a rule of the grammar. */
  readonly rule: number;
  readonly resume: number;
}

/** Reads the structure of an object or an array; the values in it are rules of the grammar. */
export interface ContainerMachine {
  readonly kind: 'container';
  /** State after a byte, or -1. `room`: how many containers may still be nested in this one. */
  step(state: number, byte: number, room: number): number;
  /** Values that may begin here. */
  openings(state: number, room: number): readonly Opening[];
  isOver(state: number): boolean;
  /** Containers that the values in it nest at least, as far as the needs of rules are known. */
  nesting(): number;
}

/** Most containers in each other. Bounds every text that a recursive schema allows. */
export const deepestNesting = 64;

// White space between structural characters: none, one space, or a line end and an indentation that fits the depth.
// Bounded, so that a model cannot fill an answer with it, and yet every usual layout can be written.
const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const widestIndent = 4; // by level

/** State of white space (0 at its begin, below 512) after a byte, or -1. */
export function afterSpace(state: number, byte: number, room: number): number {
  if (state === 0) return byte === SPACE ? 1 : byte === NEWLINE ? 2 : -1;
  if (state === 1 || (byte !== SPACE && byte !== TAB)) return -1;
  return state - 2 < widestIndent * (deepestNesting - room) ? state + 1 : -1;
}

export type Machine = ScalarMachine | ContainerMachine;
