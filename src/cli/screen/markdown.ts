// Markdown tokens (marked.lexer) -> styled lines, wrapped to a width. Prose keeps its own line breaks and is wrapped;
// code is left alone, so that it can be copied. Nothing is hidden: links show where they lead, HTML stays as written.
// Refuses nothing: what cannot be parsed comes out as plain text. Next: markdown-stream.ts (text that is still coming).

import { lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import { type Span, type Style, spansWidth, textWidth, wrap } from './style.ts';

export type Line = readonly Span[];

const PLAIN: readonly Style[] = [];
const CODE: readonly Style[] = ['cyan'];
const DIM: readonly Style[] = ['dim'];

/** Nesting beyond this is some attack on the parser, not text: marked recurses once per level. */
const TOO_DEEP = /^[ \t]*(?:>[ \t]*|(?:[-*+]|\d{1,9}[.)])[ \t]+){40}|[*_~[]{200}/m;

/** Top-level tokens; their `raw` strings joined are the source again. Null when Markdown should not be tried. */
export function markdownTokens(source: string): MarkedToken[] | null {
  if (TOO_DEEP.test(source)) return null;
  try {
    return lexer(source) as MarkedToken[];
  } catch {
    return null;
  }
}

export function plainLines(text: string): Line[] {
  return text.split('\n').map((line) => [{ text: line, styles: PLAIN }]);
}

/** One top-level token. A space token gives no line: the caller separates what stands apart. */
export function renderToken(token: Token, width: number): Line[] {
  const known = token as MarkedToken;
  switch (known.type) {
    case 'space':
      return [];
    case 'heading':
      return wrapAll(inline(known.tokens, known.depth === 1 ? ['bold', 'underline'] : ['bold']), width);
    case 'paragraph':
    case 'text':
      return wrapAll(inline(known.tokens ?? [known], PLAIN), width);
    case 'code':
      return known.text.split('\n').map((text) => [{ text, styles: CODE }]);
    case 'blockquote':
      return renderTokens(known.tokens, width - 2).map((line) => [{ text: '│ ', styles: DIM }, ...line]);
    case 'list':
      return renderList(known, width);
    case 'table':
      return renderTable(known, width);
    case 'hr':
      return [[{ text: '─'.repeat(Math.max(1, Math.min(width, 40))), styles: DIM }]];
    default:
      return plainLines(token.raw.replace(/\n+$/, '')).flatMap((line) => wrap(line, width));
  }
}

/** Tokens one under the other, an empty line wherever the source has one. */
function renderTokens(tokens: readonly Token[], width: number): Line[] {
  const lines: Line[] = [];
  let apart = false;
  for (const token of tokens) {
    if (token.type === 'space') apart = true;
    else {
      if (apart && lines.length > 0) lines.push([]);
      lines.push(...renderToken(token, width));
      apart = /\n\n$/.test(token.raw);
    }
  }
  return lines;
}

function renderList(list: Tokens.List, width: number): Line[] {
  const lines: Line[] = [];
  list.items.forEach((item, index) => {
    const mark = list.ordered ? `${Number(list.start || 1) + index}. ` : '• ';
    const box = item.task ? (item.checked ? '[x] ' : '[ ] ') : '';
    const tokens = item.tokens.filter((token) => token.type !== 'checkbox');
    const indent = ' '.repeat(mark.length);
    if (index > 0 && list.loose) lines.push([]);
    const body = renderTokens(tokens, width - mark.length);
    if (body.length === 0) body.push([]);
    body.forEach((line, row) => {
      lines.push([{ text: row === 0 ? mark + box : indent, styles: PLAIN }, ...line]);
    });
  });
  return lines;
}

function renderTable(table: Tokens.Table, width: number): Line[] {
  const rows = [table.header, ...table.rows].map((row, index) =>
    row.map((cell) => inline(cell.tokens, index === 0 ? ['bold'] : PLAIN)[0] ?? []),
  );
  const widths = table.header.map((_, column) => Math.max(1, ...rows.map((row) => spansWidth(row[column] ?? []))));
  if (widths.reduce((sum, each) => sum + each + 3, -3) > width) {
    return plainLines(table.raw.replace(/\n+$/, '')).flatMap((line) => wrap(line, width));
  }
  const lines = rows.map((row) =>
    row.flatMap((cell, column): Span[] => {
      const gap = widths[column]! - spansWidth(cell);
      const align = table.align[column];
      const left = align === 'right' ? gap : align === 'center' ? gap >> 1 : 0;
      const pad = (count: number): Span => ({ text: ' '.repeat(count), styles: PLAIN });
      const separator: Span[] = column > 0 ? [{ text: ' │ ', styles: DIM }] : [];
      return [...separator, pad(left), ...cell, pad(gap - left)];
    }),
  );
  const rule: Line = [{ text: widths.map((each) => '─'.repeat(each)).join('─┼─'), styles: DIM }];
  return [lines[0]!, rule, ...lines.slice(1)];
}

function wrapAll(lines: readonly Line[], width: number): Line[] {
  return lines.flatMap((line) => wrap(line, width));
}

/** Inline tokens as lines of spans: one line per line break in the text. */
function inline(tokens: readonly Token[], styles: readonly Style[]): Span[][] {
  const lines: Span[][] = [[]];
  const add = (text: string, with_: readonly Style[]): void => {
    text.split('\n').forEach((part, index) => {
      if (index > 0) lines.push([]);
      if (part !== '') lines.at(-1)!.push({ text: part, styles: with_ });
    });
  };
  const nest = (children: readonly Token[], with_: readonly Style[]): void => {
    inline(children, with_).forEach((line, index) => {
      if (index > 0) lines.push([]);
      lines.at(-1)!.push(...line);
    });
  };
  for (const token of tokens) {
    const known = token as MarkedToken;
    switch (known.type) {
      case 'strong':
        nest(known.tokens, [...styles, 'bold']);
        break;
      case 'em':
        nest(known.tokens, [...styles, 'italic']);
        break;
      case 'del':
        nest(known.tokens, [...styles, 'strike']);
        break;
      case 'codespan':
        add(known.text, [...styles, 'cyan']);
        break;
      case 'br':
        lines.push([]);
        break;
      case 'link':
        nest(known.tokens, [...styles, 'underline']);
        if (known.text !== known.href && `mailto:${known.text}` !== known.href) add(` (${known.href})`, DIM);
        break;
      case 'image':
        add(`[image: ${known.text}] (${known.href})`, DIM);
        break;
      case 'html':
        add(/^<br\s*\/?>$/i.test(known.text) ? '\n' : known.text, styles);
        break;
      case 'text':
        if (known.tokens) nest(known.tokens, styles);
        else add(entities(known.text), styles);
        break;
      case 'escape':
        add(entities(known.text), styles);
        break;
      default:
        add(token.raw, styles);
    }
  }
  return lines;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', nbsp: ' ', '#39': "'" };

function entities(text: string): string {
  return text.replace(/&(lt|gt|amp|quot|nbsp|#39);/g, (_, name: string) => ENTITIES[name]!);
}

export function lineWidth(line: Line): number {
  return line.reduce((sum, span) => sum + textWidth(span.text), 0);
}
