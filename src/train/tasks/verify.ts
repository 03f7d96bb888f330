// Whether a final message says the right thing, however it says it: numbers with or without commas, words in any case.
// Strict where leniency could be exploited: a message that lists many candidates is wrong, even when one of them is right.

const NUMBER = /-?\d+(?:\.\d+)?/g;

/** Numbers in a text. A minus counts as a sign unless something it could subtract from stands before it; commas between
 *  groups of three digits are dropped. */
export function numbersIn(text: string): number[] {
  const plain = text.replace(/(\d),(?=\d{3}(?!\d))/g, '$1').replaceAll('−', '-');
  const numbers: number[] = [];
  for (const match of plain.matchAll(NUMBER)) {
    const before = plain.slice(0, match.index).trimEnd().at(-1);
    const isDifference = match[0].startsWith('-') && before !== undefined && /[\d)]/.test(before);
    numbers.push(Number(isDifference ? match[0].slice(1) : match[0]));
  }
  return numbers;
}

/** The last number is `expected`, and every other one stands in the question. */
export function saysNumber(final: string, expected: number, question: readonly number[] = []): boolean {
  const numbers = numbersIn(final);
  if (numbers.length === 0 || !isNear(numbers.at(-1)!, expected)) return false;
  const allowed = [...question, expected];
  return numbers.every((n) => allowed.some((other) => isNear(n, other) || isNear(n, Math.abs(other))));
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));
}

/** The numbers after the last colon, or all of them, are `expected` in order. */
export function saysList(final: string, expected: readonly number[]): boolean {
  const numbers = numbersIn(final.slice(final.lastIndexOf(':') + 1));
  return numbers.length === expected.length && numbers.every((n, i) => isNear(n, expected[i]!));
}

/** The last quoted stretch, or the last word, is `expected`; case does not count. */
export function saysWord(final: string, expected: string): boolean {
  const quoted = [...final.matchAll(/["“”「]([^"“”」]*)["“”」]/g)].map((match) => match[1]!);
  const words = final.match(/[\p{L}\p{N}_-]+/gu) ?? [];
  const said = (quoted.length > 0 ? quoted : words).at(-1);
  return said !== undefined && said.trim().toLowerCase() === expected.toLowerCase();
}

/** Begins with yes or no, as expected, and does not say both. */
export function saysYes(final: string, expected: boolean): boolean {
  const said = new Set((final.toLowerCase().match(/\b(yes|no)\b/g) ?? []).slice(0, 4));
  return said.size === 1 && said.has(expected ? 'yes' : 'no');
}

/** The same words in the same order; punctuation, case and spaces do not count. */
export function saysText(final: string, expected: string): boolean {
  const plain = (text: string): string =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, ' ')
      .trim();
  return plain(final) === plain(expected);
}
