// Exact arithmetic for the calculator tool: + - * / // % ** and brackets over rationals of big integers. A text that is no
// expression gives an error message, as a tool's answer; sizes are bounded, so that no expression takes long.

type Rational = readonly [bigint, bigint]; // numerator, denominator > 0

const MAX_LENGTH = 500;
const MAX_BITS = 4_000;

export function calculate(text: string): { readonly value: string } | { readonly error: string } {
  try {
    if (text.length > MAX_LENGTH) throw new Error('the expression is too long');
    const tokens =
      text
        .replaceAll('×', '*')
        .replaceAll('÷', '/')
        .replaceAll('−', '-')
        .match(/\d+(?:\.\d+)?|\*\*|\/\/|[-+*/%()]|\S/g) ?? [];
    const parser = new Parser(tokens);
    return { value: show(parser.all()) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

class Parser {
  #at = 0;
  readonly #tokens: readonly string[];
  #depth = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  all(): Rational {
    const value = this.#sum();
    if (this.#at < this.#tokens.length) throw new Error(`unexpected ${this.#tokens[this.#at]}`);
    return value;
  }

  #take(...wanted: string[]): string | null {
    const token = this.#tokens[this.#at];
    if (token === undefined || !wanted.includes(token)) return null;
    this.#at++;
    return token;
  }

  #sum(): Rational {
    if (++this.#depth > 100) throw new Error('too many brackets');
    let left = this.#product();
    for (let sign = this.#take('+', '-'); sign !== null; sign = this.#take('+', '-')) {
      const [a, b] = this.#product();
      left = reduced(left[0] * b + (sign === '+' ? a : -a) * left[1], left[1] * b);
    }
    this.#depth--;
    return left;
  }

  #product(): Rational {
    let left = this.#signed();
    const signs = ['*', '/', '//', '%'];
    for (let sign = this.#take(...signs); sign !== null; sign = this.#take(...signs)) {
      const right = this.#signed();
      if (sign === '*') left = reduced(left[0] * right[0], left[1] * right[1]);
      else {
        if (right[0] === 0n) throw new Error('division by zero');
        const quotient = reduced(left[0] * right[1], left[1] * right[0]);
        if (sign === '/') left = quotient;
        else {
          const whole = floor(quotient);
          left =
            sign === '//' ? [whole, 1n] : reduced(left[0] * right[1] - whole * right[0] * left[1], left[1] * right[1]);
        }
      }
    }
    return left;
  }

  #signed(): Rational {
    const sign = this.#take('+', '-');
    if (sign !== null) {
      if (++this.#depth > 100) throw new Error('too many signs');
      const [a, b] = this.#signed();
      this.#depth--;
      return [sign === '-' ? -a : a, b];
    }
    const base = this.#atom();
    if (this.#take('**') === null) return base;
    const [exponent, one] = this.#signed();
    if (one !== 1n || exponent < -200n || exponent > 200n)
      throw new Error('the exponent has to be a whole number up to 200');
    const [a, b] = exponent < 0n ? [base[1], base[0]] : base;
    const power = exponent < 0n ? -exponent : exponent;
    if (b === 0n) throw new Error('division by zero');
    if (bits(a) * Number(power) > MAX_BITS || bits(b) * Number(power) > MAX_BITS)
      throw new Error('the result is too large');
    return reduced(a ** power, b ** power);
  }

  #atom(): Rational {
    if (this.#take('(') !== null) {
      const value = this.#sum();
      if (this.#take(')') === null) throw new Error('a bracket is not closed');
      return value;
    }
    const token = this.#tokens[this.#at++];
    if (token === undefined || !/^\d/.test(token))
      throw new Error(token === undefined ? 'the expression is not complete' : `unexpected ${token}`);
    const [whole, part = ''] = token.split('.') as [string, string?];
    return reduced(BigInt(whole + part), 10n ** BigInt(part.length));
  }
}

const bits = (n: bigint): number => n.toString(2).length;

function reduced(a: bigint, b: bigint): Rational {
  if (b < 0n) [a, b] = [-a, -b];
  let [x, y] = [a < 0n ? -a : a, b];
  while (y > 0n) [x, y] = [y, x % y];
  const divisor = x === 0n ? 1n : x;
  const result: Rational = [a / divisor, b / divisor];
  if (bits(result[0]) > MAX_BITS || bits(result[1]) > MAX_BITS) throw new Error('the result is too large');
  return result;
}

function floor([a, b]: Rational): bigint {
  return a >= 0n || a % b === 0n ? a / b : a / b - 1n;
}

/** Whole numbers as they are; others with up to ten digits after the point. */
function show([a, b]: Rational): string {
  if (b === 1n) return String(a);
  const scaled = ((a < 0n ? -a : a) * 10n ** 10n * 2n + b) / (2n * b);
  const digits = String(scaled).padStart(11, '0');
  const fraction = digits.slice(-10).replace(/0+$/, '');
  return `${a < 0n ? '-' : ''}${digits.slice(0, -10)}${fraction === '' ? '' : `.${fraction}`}`;
}
