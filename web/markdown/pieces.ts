// Splits growing Markdown at places where what came before can change no more, so that only the open end is parsed again
// while an answer streams: the work per token stays the same however long the answer is. Pure; next: render.ts.

import { type Lexer, marked, type TokensList } from 'marked';

/** Settled pieces of text, in order; `open` is the rest. Joined they are the whole text. */
export class Pieces {
  readonly settled: string[] = [];
  open = '';
  #length = 0;

  /** Takes the text so far; it has to begin with the text of the last call, or everything starts again. */
  update(text: string, isWhole: boolean): void {
    if (text.length < this.#length || !text.startsWith(this.open, this.#length - this.open.length)) {
      this.settled.length = 0;
      this.open = '';
      this.#length = 0;
    }
    this.open += text.slice(this.#length);
    this.#length = text.length;
    const raws = rawPieces(this.open);
    // The last piece may still grow, and a heading line below it may turn it into something else.
    const keep = isWhole ? 0 : 1;
    while (raws.length > keep) {
      const raw = raws.shift()!;
      this.settled.push(raw);
      this.open = this.open.slice(raw.length);
    }
  }
}

/** Raw texts of the top-level parts; blank lines go with the part before them. */
function rawPieces(text: string): string[] {
  let tokens: TokensList | ReturnType<Lexer['lex']>;
  try {
    tokens = marked.lexer(text);
  } catch {
    return [text]; // too deep for the lexer: shown as one piece
  }
  const raws: string[] = [];
  for (const { type, raw } of tokens) {
    if (type === 'space' && raws.length > 0) raws[raws.length - 1] += raw;
    else raws.push(raw);
  }
  // The lexer may normalise line ends; then the cuts would be off, and one piece is right in any case.
  return raws.join('') === text ? raws : [text];
}
