// What turns a page's bytes into lines. Parsers meet hostile input here, so whoever serves others reads in a process that
// may be ended (page-reader.node.ts); this one reads where it is, for programs that trust their pages and for browsers.
// Next: page-text.ts, pdf.ts.

import type { Page, PageSource } from './page.ts';
import { pageOf } from './page-text.ts';
import { type PdfText, pdfText } from './pdf.ts';

export interface PageReader {
  /** Throws FetchError for what cannot be read within the limits. */
  page(source: PageSource, options?: { readonly viewSource?: boolean }): Page | Promise<Page>;
  pdf(bytes: Uint8Array): Promise<PdfText>;
}

export const readHere: PageReader = { page: pageOf, pdf: pdfText };
