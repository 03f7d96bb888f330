// Owns: a page as the model reads it: `[cursor] title (address)`, which lines are shown, and the lines with their
// numbers, as many as fit in 1024 tokens unless a number is asked for. Next: browser-tool.ts.

import type { Page } from './page.ts';

export type CountTokens = (text: string) => number;

const VIEW_TOKENS = 1024;
/** Of one view, however many are asked for; the loop shortens what is too long for the context. */
const MOST_LINES = 2000;

export interface View {
  readonly text: string;
  readonly first: number;
  /** After the last line shown. */
  readonly end: number;
}

/** Throws RangeError for a place beyond the page. */
export function viewOf(page: Page, cursor: number, from: number, count: number, tokensOf: CountTokens): View {
  const { lines, title, url } = page;
  if (from >= lines.length) {
    throw new RangeError(`Invalid location parameter: \`${from}\`. Cannot exceed page maximum of ${lines.length - 1}.`);
  }
  const end = Math.min(lines.length, from + (count > 0 ? Math.min(count, MOST_LINES) : fitting(lines, from, tokensOf)));
  const numbered = lines.slice(from, end).map((line, i) => `L${from + i}: ${line}`);
  const place = url === '' ? '' : ` (${shortened(decoded(url))})`;
  const scrollbar = `**viewing lines [${from} - ${end - 1}] of ${lines.length - 1}**`;
  return { text: `[${cursor}] ${title}${place}\n${scrollbar}\n\n${numbered.join('\n')}`, first: from, end };
}

/** Lines until 1024 tokens are reached, the one that goes beyond included. */
function fitting(lines: readonly string[], from: number, tokensOf: CountTokens): number {
  let tokens = 0;
  let at = from;
  while (at < lines.length && tokens <= VIEW_TOKENS) tokens += tokensOf(`L${at}: ${lines[at++]}\n`);
  return at - from;
}

/** Without a tokenizer: four letters of Latin text or three of four other characters are about a token. */
export function guessedTokens(text: string): number {
  let other = 0;
  for (const character of text) if (character > '\u02ff') other++;
  return (text.length - other) / 4 + other * 0.75;
}

export const shortened = (text: string): string => (text.length > 1024 ? `${text.slice(0, 1021)}...` : text);

function decoded(url: string): string {
  try {
    return decodeURI(url);
  } catch {
    return url;
  }
}
