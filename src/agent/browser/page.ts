// What a page is once it can be read: lines of at most 80 columns, and where its links lead. Also the marks by which a
// model knows a link (`【id†text†domain】`), which nothing in a page's own text can spell.
// Next: page-text.ts (from HTML), view.ts (as it is shown).

export interface Link {
  readonly url: string;
  /** Of a place that was found: the page it is on, and the line. */
  readonly place?: { readonly page: Page; readonly line: number };
}

export interface Page {
  /** Empty for the results of a search. */
  readonly url: string;
  readonly title: string;
  readonly lines: readonly string[];
  /** By the number in their marks. */
  readonly links: readonly Link[];
  /** Search results and found places cannot be searched again. */
  readonly kind: 'page' | 'results' | 'found';
}

/** What a backend hands over. */
export interface PageSource {
  readonly url: string;
  readonly title?: string;
  readonly format: 'html' | 'markdown' | 'text';
  readonly text: string;
}

const COLUMNS = 80;
/** Lines of one page that are kept. */
const MOST_LINES = 50_000;

/** Text that can neither open nor close a mark. */
export function plainText(text: string): string {
  return text
    .replace(/【/g, '〖')
    .replace(/】/g, '〗')
    .replace(/◼/g, '◾')
    .replace(/[\u200b\0]/g, '');
}

export function linkMark(id: number, text: string, url: string, pageUrl: string): string {
  const label = text.replace(/†/g, '‡');
  const domain = domainOf(url);
  return domain === domainOf(pageUrl) ? `【${id}†${label}】` : `【${id}†${label}†${domain}】`;
}

/** The text of marks in place of the marks, also of marks that are cut off. */
export function withoutLinks(text: string): string {
  return text
    .replace(/^[^【】]*】/, '')
    .replace(/【\d*(?:†([^†】]*)(?:†[^†】]*)?)?$/, '$1')
    .replace(/【\d+†([^†】]+)(?:†[^†】]+)?】/g, '$1');
}

export function domainOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return '';
  }
}

/** Lines of at most 80 columns, broken at spaces and hyphens where there are any. Nothing is dropped. */
export function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (lines.length >= MOST_LINES) {
      lines.push('[The page is longer than can be kept; its end is left out.]');
      break;
    }
    wrapLine(line.replace(/\t/g, '    '), lines);
  }
  return lines;
}

function wrapLine(line: string, lines: string[]): void {
  if (line.length <= COLUMNS) {
    lines.push(line);
    return;
  }
  let current = '';
  for (const piece of line.match(/\s+|[^\s-]*-+|[^\s-]+/g) ?? []) {
    if (current !== '' && current.length + piece.length > COLUMNS) {
      lines.push(current);
      current = '';
    }
    let rest = piece;
    while (rest.length > COLUMNS) {
      const cut = /[\ud800-\udbff]/.test(rest[COLUMNS - 1]!) ? COLUMNS - 1 : COLUMNS;
      lines.push(rest.slice(0, cut));
      rest = rest.slice(cut);
    }
    current += rest;
  }
  if (current !== '') lines.push(current);
}
