// Markdown that is still being written: splits what has come so far into pieces that cannot change any more (closed)
// and the last one, which can (open). Only the open piece is parsed again when more text arrives; inside a code fence
// not even that: its finished lines are closed one by one. So the work per token is bounded, whatever the model writes.
// Next: live.ts, which puts both on the terminal.

import { type Line, markdownTokens, plainLines, renderToken } from './markdown.ts';
import { wrap } from './style.ts';

/** An open piece longer than this is cut at a line break: no paragraph of a human text gets there. */
const LONGEST_OPEN = 8192;

interface Fence {
  readonly marker: string; // ``` or ~~~, as long as it was opened
  readonly indent: number;
}

export class MarkdownStream {
  readonly #width: () => number;
  #pending = '';
  #fence: Fence | null = null;
  #any = false; // something was closed already, so the next piece may need an empty line before it
  #gap = false;

  constructor(width: () => number) {
    this.#width = width;
  }

  /** Lines that are final now, and the lines of what is still open. */
  push(text: string): { closed: Line[]; open: Line[] } {
    this.#pending += text;
    const closed: Line[] = [];
    while (this.#step(closed));
    return { closed, open: this.#open() };
  }

  end(): Line[] {
    const { closed, open } = this.push('');
    this.#pending = '';
    this.#fence = null;
    return [...closed, ...open];
  }

  /** Closes one piece; false when nothing more can be closed. */
  #step(closed: Line[]): boolean {
    if (this.#fence !== null) return this.#fenceLine(this.#fence, closed);
    const blank = /^(?:[ \t]*\n)+/.exec(this.#pending);
    if (blank !== null) {
      this.#pending = this.#pending.slice(blank[0].length);
      this.#gap = this.#any;
    }
    const opening = /^( {0,3})(`{3,}|~{3,})([^\n]*)\n/.exec(this.#pending);
    if (opening !== null && !(opening[2]!.startsWith('`') && opening[3]!.includes('`'))) {
      this.#pending = this.#pending.slice(opening[0].length);
      this.#fence = { marker: opening[2]!, indent: opening[1]!.length };
      this.#separate(closed);
      return true;
    }
    const tokens = markdownTokens(this.#pending);
    const first = tokens?.[0];
    const rest = tokens?.slice(1) ?? [];
    if (first !== undefined && rest.some((token) => /\S/.test(token.raw))) {
      this.#separate(closed);
      closed.push(...renderToken(first, this.#width()));
      this.#pending = this.#pending.slice(first.raw.length);
      this.#any = true;
      this.#gap = /\n\n$/.test(first.raw);
      return true;
    }
    if (this.#pending.length <= LONGEST_OPEN) return false;
    this.#cut(closed);
    return true;
  }

  #fenceLine(fence: Fence, closed: Line[]): boolean {
    const end = this.#pending.indexOf('\n');
    if (end < 0) return false;
    const line = this.#pending.slice(0, end);
    this.#pending = this.#pending.slice(end + 1);
    if (isClosing(line, fence)) this.#fence = null;
    else closed.push(codeLine(line, fence));
    this.#any = true;
    return true;
  }

  #open(): Line[] {
    if (this.#pending === '') return [];
    if (this.#fence !== null) {
      // A line that may still become the closing fence is not shown yet.
      const maybeClosing =
        /^ {0,3}(`+|~+)\s*$/.test(this.#pending) && this.#pending.trim()[0] === this.#fence.marker[0];
      return maybeClosing ? [] : [codeLine(this.#pending, this.#fence)];
    }
    if (/^ {0,3}(`{3,}|~{3,})[^\n]*$/.test(this.#pending)) return []; // the opening line of a fence, perhaps
    const lines: Line[] = this.#gap && /\S/.test(this.#pending) ? [[]] : [];
    const tokens = markdownTokens(this.#pending);
    if (tokens === null) return [...lines, ...plainLines(this.#pending)];
    return [...lines, ...tokens.flatMap((token) => renderToken(token, this.#width()))];
  }

  /** Closes all but the end of a piece that is too long to be looked at again and again, as plain text. */
  #cut(closed: Line[]): void {
    const lineEnd = this.#pending.lastIndexOf('\n');
    const end = lineEnd > 0 ? lineEnd : this.#pending.lastIndexOf(' ');
    const taken = end > 0 ? this.#pending.slice(0, end) : this.#pending;
    this.#separate(closed);
    closed.push(...plainLines(taken).flatMap((line) => wrap(line, this.#width())));
    this.#pending = this.#pending.slice(end > 0 ? end + 1 : taken.length);
    this.#any = true;
  }

  #separate(closed: Line[]): void {
    if (this.#gap) closed.push([]);
    this.#gap = false;
  }
}

function isClosing(line: string, fence: Fence): boolean {
  const found = /^ {0,3}(`{3,}|~{3,})[ \t]*$/.exec(line);
  return found !== null && found[1]![0] === fence.marker[0] && found[1]!.length >= fence.marker.length;
}

function codeLine(line: string, fence: Fence): Line {
  return [{ text: line.replace(new RegExp(`^ {0,${fence.indent}}`), '').replaceAll('\t', '    '), styles: ['cyan'] }];
}
