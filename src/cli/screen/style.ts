// Styled text as plain data: a line is a list of spans, a span is text with a set of styles. How wide text is on a
// terminal, how a line is wrapped, and how spans become escape codes. Knows no Markdown. Next: markdown.ts.

export type Style = 'bold' | 'dim' | 'italic' | 'underline' | 'strike' | 'cyan' | 'green' | 'yellow' | 'red';

export interface Span {
  readonly text: string; // no line feeds
  readonly styles: readonly Style[];
}

const CODES: Record<Style, readonly [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  italic: [3, 23],
  underline: [4, 24],
  strike: [9, 29],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Each span is closed by itself, so that a line never leaks its style into the next. */
export function paint(spans: readonly Span[], colour: boolean): string {
  let out = '';
  for (const { text, styles } of spans) {
    if (!colour || styles.length === 0 || text === '') out += text;
    else {
      const on = styles.map((style) => CODES[style][0]).join(';');
      const off = [...new Set(styles.map((style) => CODES[style][1]))].join(';');
      out += `\x1b[${on}m${text}\x1b[${off}m`;
    }
  }
  return out;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const ZERO_WIDTH = /^[\p{Mark}\p{Cf}\p{Cc}]+$/u;
// East Asian Wide and Fullwidth, and what terminals draw as pictures.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u;

function graphemeWidth(grapheme: string): number {
  if (ZERO_WIDTH.test(grapheme)) return 0;
  return WIDE.test(grapheme) ? 2 : 1;
}

/** Columns that text takes on a terminal. */
export function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

export function spansWidth(spans: readonly Span[]): number {
  return spans.reduce((sum, span) => sum + textWidth(span.text), 0);
}

// Closing punctuation that may not begin a line in Japanese and Chinese.
const NO_LINE_START = /^[、。，．・：；！？」』）】〕〉》’”ーぁぃぅぇぉっゃゅょァィゥェォッャュョ]/u;

/** Pieces that stay on one line: a run of spaces, a word, or a single wide character. */
function pieces(text: string): string[] {
  const out: string[] = [];
  for (const run of text.match(/[ \t]+|[^ \t]+/g) ?? []) {
    if (/^[\x21-\x7e]+$/.test(run) || /^[ \t]/.test(run)) {
      out.push(run);
      continue;
    }
    let word = '';
    for (const { segment } of graphemes.segment(run)) {
      if (NO_LINE_START.test(segment) && (word !== '' || out.length > 0)) {
        if (word !== '') word += segment;
        else out[out.length - 1] += segment;
      } else if (graphemeWidth(segment) === 2) {
        if (word !== '') out.push(word);
        word = '';
        out.push(segment);
      } else word += segment;
    }
    if (word !== '') out.push(word);
  }
  return out;
}

/** Parts of a word that is wider than a line. */
function split(word: string, limit: number): string[] {
  if (/^[\x20-\x7e]*$/.test(word)) {
    return Array.from({ length: Math.ceil(word.length / limit) }, (_, i) => word.slice(i * limit, (i + 1) * limit));
  }
  return Array.from(graphemes.segment(word), ({ segment }) => segment);
}

/** Breaks a line at spaces (or between wide characters) so that no line is wider than `width`. */
export function wrap(spans: readonly Span[], width: number): Span[][] {
  const limit = Math.max(width, 2);
  if (spansWidth(spans) <= limit) return [[...spans]];
  const lines: Span[][] = [];
  let line: Span[] = [];
  let used = 0;
  const end = (): void => {
    const last = line.at(-1);
    if (last !== undefined && /[ \t]+$/.test(last.text)) {
      line[line.length - 1] = { text: last.text.replace(/[ \t]+$/, ''), styles: last.styles };
    }
    lines.push(line);
    line = [];
    used = 0;
  };
  const add = (text: string, styles: readonly Style[]): void => {
    const last = line.at(-1);
    if (last !== undefined && last.styles === styles) line[line.length - 1] = { text: last.text + text, styles };
    else line.push({ text, styles });
    used += textWidth(text);
  };
  for (const { text, styles } of spans) {
    for (const piece of pieces(text)) {
      const pieceWidth = textWidth(piece);
      if (used + pieceWidth > limit && used > 0) {
        end();
        if (/^[ \t]/.test(piece)) continue; // the break stands for these spaces
      }
      if (pieceWidth <= limit) {
        add(piece, styles);
        continue;
      }
      for (const part of split(piece, limit)) {
        if (used + textWidth(part) > limit && used > 0) end();
        add(part, styles);
      }
    }
  }
  if (line.length > 0 || lines.length === 0) end();
  return lines;
}
