// Owns: guesses how a line of tokens goes on, from the line itself: the longest earlier stretch that equals its end is
// looked up, and what followed there is proposed. Copies of code, tool results and lists are foreseen this way without a
// second model. It also keeps how often guesses came true, by how many tokens agreed: also of guesses that nobody ran,
// since the next token shows for free whether they were right. Refuses: to decide whether a guess is worth its cost.
// Next: speculation.ts.

const LEAST = 2; // tokens that must agree
const LOOKED_AT = 32; // earlier places looked at for one guess, latest first
const LONGEST = 24; // agreement beyond is all one

/** How many tokens agreed, as one of a few classes: longer agreement is trusted more. */
const CLASSES = 8;
const CLASS_OF = Uint8Array.from({ length: LONGEST + 1 }, (_, n) =>
  n < 3 ? 0 : n < 4 ? 1 : n < 5 ? 2 : n < 7 ? 3 : n < 10 ? 4 : n < 15 ? 5 : n < LONGEST ? 6 : 7,
);

function classOf(agreed: number): number {
  return CLASS_OF[Math.min(agreed, LONGEST)];
}

/** Shares of guesses that came true, by class. Old ones fade. */
export class GuessRecord {
  readonly #hits = new Float64Array(CLASSES);
  readonly #tries = new Float64Array(CLASSES);
  readonly #memory: number;

  /** `memory`: so many guesses of a class are remembered, roughly. */
  constructor(memory: number) {
    this.#memory = memory;
  }

  note(agreed: number, isHit: boolean): void {
    const at = classOf(agreed);
    if (this.#tries[at] >= this.#memory) {
      this.#hits[at] /= 2;
      this.#tries[at] /= 2;
    }
    this.#tries[at]++;
    if (isHit) this.#hits[at]++;
  }

  /** Share of hits, as if `weight` guesses with the share `prior` had come before. */
  share(agreed: number, prior: number, weight: number): number {
    const at = classOf(agreed);
    return (this.#hits[at] + prior * weight) / (this.#tries[at] + weight);
  }
}

/** What may come next, and after how many equal tokens. */
export interface Guess {
  readonly tokens: Int32Array;
  readonly agreed: number;
}

const NOTHING: Guess = { tokens: new Int32Array(0), agreed: 0 };

/** Guesses for one sequence; its tokens only ever grow. */
export class Drafter {
  /** Of this sequence alone. */
  readonly record = new GuessRecord(32);
  readonly #shared: GuessRecord;
  // Places where two tokens stand, as chains: heads by hash, each place naming the one before with that hash.
  #heads = new Int32Array(0);
  #before = new Int32Array(0);
  #indexed = 1; // pairs that end before this place are in the chains
  #last: Guess = NOTHING;
  #lastAt = 0; // length of the sequence when #last was made

  /** `shared`: the record of all sequences together. */
  constructor(shared: GuessRecord) {
    this.#shared = shared;
  }

  /** At most `most` tokens that may follow `tokens`. Looks back first at what became of its last guess. */
  guess(tokens: Int32Array, most: number): Guess {
    this.#settle(tokens);
    this.#index(tokens);
    const found = this.#find(tokens, most);
    this.#last = found;
    this.#lastAt = tokens.length;
    return found;
  }

  #settle(tokens: Int32Array): void {
    const { tokens: guessed, agreed } = this.#last;
    for (let i = 0; i < guessed.length && this.#lastAt + i < tokens.length; i++) {
      const isHit = guessed[i] === tokens[this.#lastAt + i];
      this.record.note(agreed + i, isHit);
      this.#shared.note(agreed + i, isHit);
      if (!isHit) break;
    }
    this.#last = NOTHING;
  }

  /** All pairs but the last one, which is what is looked for. */
  #index(tokens: Int32Array): void {
    if (tokens.length > this.#before.length) {
      const capacity = Math.max(256, 2 ** Math.ceil(Math.log2(tokens.length * 1.25)));
      this.#heads = new Int32Array(capacity).fill(-1);
      this.#before = new Int32Array(capacity);
      this.#indexed = 1;
    }
    for (; this.#indexed < tokens.length - 1; this.#indexed++) {
      const at = this.#indexed;
      const slot = this.#slot(tokens[at - 1], tokens[at]);
      this.#before[at] = this.#heads[slot];
      this.#heads[slot] = at;
    }
  }

  #slot(a: number, b: number): number {
    const hash = Math.imul(Math.imul(a, 0x9e3779b1) ^ b, 0x85ebca6b);
    return (hash ^ (hash >>> 15)) & (this.#heads.length - 1);
  }

  #find(tokens: Int32Array, most: number): Guess {
    const end = tokens.length - 1; // the last token
    if (end < LEAST || most < 1) return NOTHING;
    let best = -1;
    let longest = LEAST - 1;
    let at = this.#heads[this.#slot(tokens[end - 1], tokens[end])];
    for (let i = 0; i < LOOKED_AT && at >= 0; i++, at = this.#before[at]) {
      let agreed = 0;
      while (agreed < LONGEST && agreed <= at && tokens[at - agreed] === tokens[end - agreed]) agreed++;
      if (agreed <= longest) continue;
      best = at;
      longest = agreed;
      if (agreed === LONGEST) break;
    }
    if (best < 0) return NOTHING;
    // What followed there; where that runs into the end itself, the stretch between repeats.
    const period = end - best;
    const follows = Int32Array.from({ length: most }, (_, i) => tokens[best + 1 + (i % period)]);
    return { tokens: follows, agreed: longest };
  }
}
