// Owns: the text of a page as gpt-oss was trained to read it: headings with `#`, lists with `*`, links as numbered marks,
// images as `[Image n: alt]`, the address on top. HTML is read by a real DOM; Markdown becomes HTML first.
// Refuses: scripts, styles, forms, what is hidden, formulas as MathML (their text form is kept). The walk does not recurse, so depth
// costs nothing. Next: page.ts, view.ts.

import { parseHTML } from 'linkedom';
import { marked } from 'marked';
import { domainOf, type Link, linkMark, type Page, type PageSource, plainText, wrapped } from './page.ts';
import { shallow } from './shallow-html.ts';

/** Characters of a source that are read. */
const MOST_CHARACTERS = 4 * 2 ** 20;

const SKIPPED = new Set(
  'SCRIPT STYLE NOSCRIPT TEMPLATE SVG CANVAS IFRAME OBJECT EMBED AUDIO VIDEO HEAD TITLE SELECT INPUT BUTTON TEXTAREA DIALOG MATH'.split(
    ' ',
  ),
);
/** Elements that begin a line of their own. */
const LINES = new Set(
  'ADDRESS ARTICLE ASIDE BLOCKQUOTE BODY DD DETAILS DIV DL DT FIELDSET FIGCAPTION FIGURE FOOTER FORM H1 H2 H3 H4 H5 H6 HEADER HGROUP HR LI MAIN NAV OL P PRE SECTION SUMMARY TABLE TBODY TFOOT THEAD TR UL'.split(
    ' ',
  ),
);
/** Those with an empty line before and after. */
const APART = new Set(
  'ARTICLE BLOCKQUOTE DL FIGURE FOOTER H1 H2 H3 H4 H5 H6 HEADER HR MAIN OL P PRE SECTION TABLE UL'.split(' '),
);

export function pageOf(source: PageSource, options: { readonly viewSource?: boolean } = {}): Page {
  const { url, format } = source;
  const text = source.text.slice(0, MOST_CHARACTERS).replace(/\r\n?/g, '\n');
  const top = `\nURL: ${plainText(url)}\n`;
  if (options.viewSource === true || format === 'text') {
    const address = options.viewSource === true ? `view-source:${url}` : url;
    const title = source.title ?? lastPart(url);
    return { url: address, title: oneLine(title), lines: wrapped(top + plainText(text)), links: [], kind: 'page' };
  }
  const html = shallow(format === 'markdown' ? (marked.parse(text, { async: false, gfm: true }) as string) : text);
  const { document } = parseHTML(/<(html|body|head)[\s>]/i.test(html) ? html : `<html><body>${html}</body></html>`);
  const heading =
    document.querySelector('title')?.textContent ??
    (format === 'markdown' ? document.querySelector('h1')?.textContent : null);
  const title = source.title || oneLine(heading ?? '') || domainOf(url) || lastPart(url);
  const writer = new Writer(baseOf(document, url), url);
  walk(document.documentElement as unknown as DomNode, writer);
  const body = writer.text();
  return { url, title: oneLine(plainText(title)), lines: wrapped(top + body), links: writer.links, kind: 'page' };
}

/** The part of a DOM that is read here. */
interface DomNode {
  readonly nodeType: number;
  readonly nodeName: string;
  readonly textContent: string | null;
  readonly firstChild: DomNode | null;
  readonly nextSibling: DomNode | null;
  readonly parentNode: DomNode | null;
  getAttribute?(name: string): string | null;
}

function walk(root: DomNode, writer: Writer): void {
  let node: DomNode | null = root;
  while (node !== null) {
    const skip: boolean = node.nodeType === 1 ? !writer.open(node) : false;
    if (node.nodeType === 3) writer.write(node.textContent ?? '');
    let next: DomNode | null = skip ? null : node.firstChild;
    while (next === null && node !== null) {
      if (node.nodeType === 1) writer.close(node);
      if (node === root) return;
      next = node.nextSibling;
      if (next === null) node = node.parentNode;
      else break;
    }
    node = next;
  }
}

interface OpenLink {
  readonly url: string | null;
  readonly node: DomNode;
  text: string;
}

class Writer {
  readonly links: Link[] = [];
  readonly #base: string;
  readonly #page: string;
  readonly #ids = new Map<string, number>();
  readonly #out: string[] = [];
  readonly #lists: { readonly isOrdered: boolean; n: number }[] = [];
  #line = '';
  #isEmpty = true; // the last line that was written
  #quotes = 0;
  #pre = 0;
  #cells = 0;
  #images = 0;
  #link: OpenLink | null = null;

  constructor(base: string, page: string) {
    this.#base = base;
    this.#page = page;
  }

  /** Begins an element; false: what is in it does not count. */
  open(node: DomNode): boolean {
    const name = node.nodeName.toUpperCase();
    if (SKIPPED.has(name) || isHidden(node)) return false;
    if (LINES.has(name)) this.#breakLine(APART.has(name) && !(this.#lists.length > 0 && /^[OU]L$|^P$/.test(name)));
    switch (name) {
      case 'BR':
        this.#breakLine(false);
        break;
      case 'HR':
        this.#put('* * *');
        break;
      case 'A':
        if (this.#link === null) this.#link = { url: this.#target(node), node, text: '' };
        break;
      case 'IMG': {
        const alt = oneLine(plainText(attribute(node, 'alt') || attribute(node, 'title')));
        this.#put(alt === '' ? `[Image ${this.#images++}]` : `[Image ${this.#images++}: ${alt}]`);
        break;
      }
      case 'SUP':
      case 'SUB':
        if (isShort(node)) this.#put(name === 'SUP' ? '^{' : '_{');
        break;
      case 'OL':
      case 'UL':
        this.#lists.push({ isOrdered: name === 'OL', n: 0 });
        break;
      case 'LI': {
        const list = this.#lists.at(-1);
        if (list !== undefined) list.n++;
        const indent = '  '.repeat(Math.min(Math.max(this.#lists.length, 1), 8));
        this.#put(indent + (list?.isOrdered === true ? `${list.n}. ` : '* '));
        break;
      }
      case 'BLOCKQUOTE':
        this.#quotes++;
        break;
      case 'PRE':
        this.#pre++;
        break;
      case 'TR':
        this.#cells = 0;
        break;
      case 'TD':
      case 'TH':
        if (this.#cells++ > 0) this.#put(' | ');
        break;
      default:
        if (/^H[1-6]$/.test(name)) this.#put(`${'#'.repeat(Number(name[1]))} `);
    }
    return true;
  }

  close(node: DomNode): void {
    const name = node.nodeName.toUpperCase();
    if (SKIPPED.has(name) || isHidden(node)) return;
    if (name === 'A' && this.#link?.node === node) this.#closeLink();
    if ((name === 'SUP' || name === 'SUB') && isShort(node)) this.#put('}');
    if (LINES.has(name))
      this.#breakLine(APART.has(name) && !(this.#lists.length > 1 || (this.#lists.length > 0 && name === 'P')));
    if (name === 'OL' || name === 'UL') this.#lists.pop();
    if (name === 'BLOCKQUOTE') this.#quotes = Math.max(0, this.#quotes - 1);
    if (name === 'PRE') this.#pre = Math.max(0, this.#pre - 1);
  }

  write(text: string): void {
    const plain = plainText(text);
    if (this.#pre > 0 && this.#link === null) {
      const [first, ...rest] = plain.split('\n');
      this.#line += first;
      for (const line of rest) {
        this.#endLine(true);
        this.#line = line;
      }
      return;
    }
    this.#put(plain.replace(/\s+/g, ' '));
  }

  text(): string {
    if (this.#link !== null) this.#closeLink();
    this.#breakLine(false);
    return this.#out
      .join('\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim();
  }

  #put(text: string): void {
    if (this.#link !== null) {
      this.#link.text += text;
      return;
    }
    const isStart = this.#line === '' || this.#line.endsWith(' ');
    this.#line +=
      isStart && this.#pre === 0 && text.startsWith(' ') && !/^ +[*\d|]/.test(text) ? text.trimStart() : text;
  }

  #closeLink(): void {
    const { url, text } = this.#link!;
    this.#link = null;
    const label = oneLine(text);
    const outer = (edge: RegExp): string => (edge.test(text) ? ' ' : '');
    if (label === '' || url === null) {
      this.#put(label === '' ? outer(/^\s/) : text);
      return;
    }
    let id = this.#ids.get(url);
    if (id === undefined) {
      id = this.links.length;
      this.links.push({ url });
      this.#ids.set(url, id);
    }
    this.#put(outer(/^\s/) + linkMark(id, label, url, this.#page) + outer(/\s$/));
  }

  #target(node: DomNode): string | null {
    const href = attribute(node, 'href').trim();
    if (href === '' || href.startsWith('#')) return null;
    try {
      const url = new URL(href, this.#base);
      return ['http:', 'https:', 'local:'].includes(url.protocol) && url.host !== '' ? url.href : null;
    } catch {
      return null;
    }
  }

  #breakLine(isApart: boolean): void {
    if (this.#link !== null) {
      this.#link.text += ' ';
      return;
    }
    if (this.#line.trim() !== '') this.#endLine(false);
    this.#line = '';
    if (isApart && !this.#isEmpty) {
      this.#out.push('');
      this.#isEmpty = true;
    }
  }

  #endLine(keepsEmpty: boolean): void {
    const line = this.#line.trimEnd();
    if (line !== '' || keepsEmpty) {
      this.#out.push('> '.repeat(Math.min(this.#quotes, 8)) + line);
      this.#isEmpty = line === '';
    }
    this.#line = '';
  }
}

function isHidden(node: DomNode): boolean {
  const style = attribute(node, 'style');
  return (
    node.getAttribute?.('hidden') != null ||
    attribute(node, 'aria-hidden') === 'true' ||
    (style !== '' && /display\s*:\s*none|visibility\s*:\s*hidden/i.test(style))
  );
}

/** Only text, and little of it: what may stand above or below the line. */
function isShort({ firstChild }: DomNode): boolean {
  const isOnly = firstChild !== null && firstChild.nodeType === 3 && firstChild.nextSibling === null;
  return isOnly && /^[\w-]{1,20}$/.test(firstChild.textContent ?? '');
}

const attribute = (node: DomNode, name: string): string => node.getAttribute?.(name) ?? '';

function baseOf(document: ReturnType<typeof parseHTML>['document'], url: string): string {
  const base = document.querySelector('base')?.getAttribute('href');
  if (!base) return url;
  try {
    return new URL(base, url).href;
  } catch {
    return url;
  }
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, 500);

function lastPart(url: string): string {
  return url.split('/').filter(Boolean).at(-1) ?? url;
}
