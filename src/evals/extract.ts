// Answers out of a final message: the number or letter that a solver means, by the forms that models use. Each takes the last
// of its kind, because solutions end with their result, and says null rather than guess.

const MOST_BOXES = 64; // looked at, from the end

/** What stands in the last \boxed{…} (or \fbox, \framebox), braces balanced; null: there is none. */
export function boxed(text: string): string | null {
  const starts = [...text.matchAll(/\\(?:boxed|fbox|framebox)\s{0,8}\{/g)].slice(-MOST_BOXES);
  for (const match of starts.reverse()) {
    const start = match.index + match[0].length;
    for (let at = start, depth = 1; at < text.length; at++) {
      if (text[at] === '{') depth++;
      else if (text[at] === '}' && --depth === 0) return text.slice(start, at);
    }
  }
  return null;
}

/** A whole number: of the last box what follows its last comma, else the last whole number of the text. */
export function wholeNumber(text: string): number | null {
  const box = boxed(text);
  const place = box === null ? text : box.slice(box.lastIndexOf(',') + 1);
  const numbers = [...place.matchAll(/-?\d+(?:\.\d+)?/g)].map(([number]) => number);
  const last = numbers.at(-1);
  if (last === undefined) return null;
  const value = Number(last);
  return Number.isSafeInteger(value) ? value : null;
}

/** A number of any kind, of the last box or else the last of the text; commas between groups of three are dropped. */
export function lastNumber(text: string): number | null {
  const box = boxed(text);
  const plain = (box !== null && /\d/.test(box) ? box : text)
    .replace(/(\d)(?:,|\{,\}|\\,)(?=\d{3}(?!\d))/g, '$1')
    .replaceAll('−', '-');
  const last = [...plain.matchAll(/(?<![\d.])-?(?:\d+(?:\.\d+)?|\.\d+)/g)].at(-1)?.[0];
  return last === undefined ? null : Number(last);
}

// Bounded everywhere: a text of blanks must not keep an expression busy.
const MARKS = '[*_`$\\s]{0,8}';
const OPEN = '(?:\\\\(?:boxed|text|textbf|mathrm|mathbf)\\s{0,4}\\{\\s{0,4}){0,4}[(\\[]?\\s{0,4}';

/** `Answer: B`, as the prompt asks for it: also in bold, in brackets, in a box. The last one counts. */
export function statedLetter(text: string, letters: string): string | null {
  const pattern = new RegExp(
    `answer${MARKS}:${MARKS}${OPEN}${MARKS}([${letters}${letters.toLowerCase()}])(?![\\p{L}\\p{N}])`,
    'giu',
  );
  return [...text.matchAll(pattern)].at(-1)?.[1]?.toUpperCase() ?? null;
}

/** A letter in any of the forms in which choices are named, the surest form first. */
export function chosenLetter(text: string, letters: string): string | null {
  const stated = statedLetter(text, letters);
  if (stated !== null) return stated;
  const one = `([${letters}])(?![\\p{L}\\p{N}])`;
  const box = boxed(text);
  const boxedLetter = box === null ? null : new RegExp(`^${MARKS}${OPEN}${one}`, 'u').exec(box);
  if (boxedLetter !== null) return boxedLetter[1]!;
  const forms = [
    `(?:[Aa]nswer|[Cc]hoice|[Oo]ption)\\s+(?:is|would be|must be)${MARKS}:?${MARKS}(?:[Oo]ption\\s+|[Cc]hoice\\s+)?${OPEN}${MARKS}${one}`, // the answer is (B)
    `^${MARKS}(?:[Oo]ption\\s+|[Cc]hoice\\s+)?[(\\[]?${one}[)\\].:]?${MARKS}$`, // a line of its own
    `\\b(?:[Oo]ption|[Cc]hoice)${MARKS}[(\\[]?${one}`, // option B
    `^${MARKS}[(\\[]?${one}[)\\].:]\\s`, // B) because …
    `\\(${one}\\)`, // … so (B)
  ];
  for (const form of forms) {
    const found = [...text.matchAll(new RegExp(form, 'gmu'))].at(-1)?.[1];
    if (found !== undefined) return found;
  }
  return null;
}
