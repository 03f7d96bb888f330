// Owns: citations in an answer while it streams: `【4†L8-L9】` becomes a Markdown link to the page, wherever token borders
// fall, and an unfinished mark is held back. A mark that points nowhere is left out. Other text in such brackets stays.
// Next: agent.ts.

import type { Source } from './tool.ts';

export interface Citation extends Source {
  /** Place of the link in the answer's text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly cursor: number;
  /** E.g. `L8-L9`. */
  readonly lines: string;
}

const MARK = /^【(\d{1,9})†([^†】]{1,200})(?:†[^†】]{1,200})?】$/;
const LONGEST = 420;

export class CitationText {
  readonly #cite: (cursor: number, lines: string) => Source | null;
  #held = ''; // from a bracket on
  #length = 0; // of what was told

  constructor(cite: (cursor: number, lines: string) => Source | null) {
    this.#cite = cite;
  }

  push(text: string): { text: string; citations: Citation[] } {
    let out = '';
    const citations: Citation[] = [];
    for (const unit of text.split(/(?=[【】])|(?<=】)/)) {
      if (unit.startsWith('【')) {
        out += this.#held;
        this.#held = unit;
      } else if (this.#held !== '') this.#held += unit;
      else out += unit;
      if (unit === '】' && this.#held !== '') {
        const link = this.#link(this.#length + out.length);
        out += link.text;
        if (link.citation !== null) citations.push(link.citation);
        this.#held = '';
      } else if (this.#held.length > LONGEST) {
        out += this.#held;
        this.#held = '';
      }
    }
    this.#length += out.length;
    return { text: out, citations };
  }

  /** The text is over. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    this.#length += rest.length;
    return rest;
  }

  #link(start: number): { text: string; citation: Citation | null } {
    const [, digits, lines] = MARK.exec(this.#held) ?? [];
    if (digits === undefined || lines === undefined) return { text: this.#held, citation: null };
    const cursor = Number(digits);
    const source = this.#cite(cursor, lines);
    if (source === null) return { text: '', citation: null };
    const text = `[${escaped(source.title || source.url)}](<${source.url.replace(/[<>\s]/g, encodeURIComponent)}>)`;
    return { text, citation: { ...source, start, end: start + text.length, cursor, lines } };
  }
}

const escaped = (title: string): string => title.replace(/[\\[\]`*_<>]/g, '\\$&').replace(/\s+/g, ' ');
