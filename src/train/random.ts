// Randomness that is a function of (seed, stream, index) and of nothing else: a step, a task or a tensor asks for its own
// stream, so what was drawn before does not matter and a resumed run needs no generator state.
// Splitmix64's finaliser over a Weyl sequence, in two 32-bit halves.

export class CounterRandom {
  #low: number;
  #high: number;
  #spare: number | null = null;

  /** Numbers are mixed one after another: (7, 1) and (1, 7) are different streams. Each a whole number >= 0. */
  constructor(...key: readonly number[]) {
    this.#low = 0x9e3779b9;
    this.#high = 0x7f4a7c15;
    for (const part of key) {
      this.#low = (this.#low ^ (part >>> 0)) >>> 0;
      this.#high = (this.#high ^ (Math.floor(part / 2 ** 32) >>> 0)) >>> 0;
      const [low, high] = mixed(this.#low, this.#high);
      [this.#low, this.#high] = [low, high];
    }
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    const low = this.#low + 0x7f4a7c15;
    this.#high = (this.#high + 0x9e3779b9 + (low >= 2 ** 32 ? 1 : 0)) >>> 0;
    this.#low = low >>> 0;
    return mixed(this.#low, this.#high)[1];
  }

  /** In [0, 1), 53 bits. */
  float(): number {
    return (this.uint32() * 2 ** 21 + (this.uint32() >>> 11)) / 2 ** 53;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.float() * below);
  }

  /** Standard normal. */
  gaussian(): number {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.float()));
    const angle = 2 * Math.PI * this.float();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** In place, uniformly. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }
}

function mixed(low: number, high: number): [low: number, high: number] {
  [low, high] = xorShift(low, high, 30);
  [low, high] = multiply(low, high, 0x1ce4e5b9, 0xbf58476d);
  [low, high] = xorShift(low, high, 27);
  [low, high] = multiply(low, high, 0x133111eb, 0x94d049bb);
  return xorShift(low, high, 31);
}

function xorShift(low: number, high: number, by: number): [number, number] {
  return [(low ^ ((low >>> by) | (high << (32 - by)))) >>> 0, (high ^ (high >>> by)) >>> 0];
}

/** The low 64 bits of a product of two 64-bit numbers. */
function multiply(aLow: number, aHigh: number, bLow: number, bHigh: number): [number, number] {
  const [a0, a1, b0, b1] = [aLow & 0xffff, aLow >>> 16, bLow & 0xffff, bLow >>> 16];
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const cross = a0 * b1 + (middle & 0xffff);
  const carry = a1 * b1 + Math.floor(middle / 65536) + Math.floor(cross / 65536);
  const high = (carry + Math.imul(aLow, bHigh) + Math.imul(aHigh, bLow)) >>> 0;
  return [(((cross & 0xffff) << 16) | (low & 0xffff)) >>> 0, high];
}
