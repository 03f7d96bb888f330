// Owns: how prompts and decodes divide the time when both want to run. Prompts get their share of it, but no decode waits
// much longer than GAP_MS for its next token, as far as segments allow; and chunks of prompts become so small, by what their
// segments were measured to take, that they do allow it.
// Refuses: to run anything (engine.ts does), to look at sequences (scheduler.ts). Time comes from outside.

const GAP_MS = 370; // between two tokens: a decode that would wait longer goes first …
const PROMPTS_AHEAD = 1.15; // … while prompts have had so many times what decodes had: more than half of the time …
const LEAST_AHEAD = 0.5; // … or, where a decode alone takes so long that this would not fit, at least a third of it
const MOST_SEGMENT_MS = 80; // aim for a segment of a prompt while others decode; less where decodes take much of the gap
const LEAST_SEGMENT_MS = 45;
const FIRST_ROWS = 128; // of a chunk beside decodes while nothing was measured yet
const LEAST_ROWS = 32; // smaller chunks read every weight for too little

export class TimeShares {
  readonly #promptShare: number;
  readonly #now: () => number;
  // Milliseconds each side had since both last wanted to run.
  #promptMs = 0;
  #decodeMs = 0;
  #lastDecode: number | null = null; // when a decode step last ended
  #decodeStep = 0; // milliseconds, the last ones weighing most
  #resumed = 0;
  #longest = 0; // segment of the prompt step that runs, and of the last one
  #lastLongest = 0;
  #msPerRow = 0; // of the longest segments of the last prompt steps; 0: not measured

  constructor(promptShare: number, now: () => number) {
    this.#promptShare = promptShare;
    this.#now = now;
  }

  /** One side is alone, and owes nothing. */
  reset(): void {
    this.#promptMs = 0;
    this.#decodeMs = 0;
    this.#lastDecode = null;
  }

  /** Most rows of a prompt step that decodes wait beside. */
  get promptRows(): number {
    if (this.#msPerRow === 0) return FIRST_ROWS;
    // Two segments fit beside a decode and the prompts' share, so that one which takes longer than foreseen does no harm.
    const left = (GAP_MS - this.#decodeStep * (1 + this.#ahead)) / 2;
    const aim = Math.min(MOST_SEGMENT_MS, Math.max(LEAST_SEGMENT_MS, left));
    return Math.max(LEAST_ROWS, Math.floor(aim / this.#msPerRow));
  }

  segmentStarts(): void {
    this.#resumed = this.#now();
  }

  segmentEnded(): void {
    const ms = this.#since(this.#resumed);
    this.#promptMs += ms;
    this.#longest = Math.max(this.#longest, ms);
  }

  /** A prompt step of so many rows has ended. */
  promptEnded(rows: number): void {
    if (rows >= LEAST_ROWS) {
      const measured = this.#longest / rows;
      this.#msPerRow = this.#msPerRow === 0 ? measured : (this.#msPerRow + measured) / 2;
    }
    this.#lastLongest = this.#longest;
    this.#longest = 0;
  }

  decodeRan(start: number): void {
    const ms = this.#since(start);
    this.#decodeStep = this.#decodeStep === 0 ? ms : (this.#decodeStep + ms) / 2;
    this.#decodeMs += ms;
    this.#lastDecode = this.#now();
  }

  get areDecodesOwed(): boolean {
    if (this.#decodeMs * this.#promptShare <= this.#promptMs * (1 - this.#promptShare)) return true;
    if (this.#lastDecode === null || this.#promptMs < this.#decodeMs * this.#ahead) return false;
    const next = Math.max(this.#longest, this.#lastLongest);
    return this.#now() - this.#lastDecode + next + this.#decodeStep > GAP_MS;
  }

  /** How many times the decodes' time prompts have at least, before a long gap counts. */
  get #ahead(): number {
    const fitting = this.#decodeStep === 0 ? PROMPTS_AHEAD : GAP_MS / this.#decodeStep - 1;
    return Math.min(PROMPTS_AHEAD, Math.max(LEAST_AHEAD, fitting));
  }

  /** Never nothing, so that a coarse clock cannot give one side all the time. */
  #since(start: number): number {
    return Math.max(0.001, this.#now() - start);
  }
}
