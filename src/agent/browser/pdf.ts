// Owns: the text of a PDF, page by page. Next: local-index.node.ts, web.node.ts; page-reader.node.ts, which runs it apart.

import { FetchError } from './addresses.ts';

const MOST_PAGES = 500;
const MOST_CHARACTERS = 4 * 2 ** 20;

export interface PdfText {
  readonly title?: string;
  readonly text: string;
}

/** Throws FetchError for what is no PDF, or none that can be read. */
export async function pdfText(bytes: Uint8Array): Promise<PdfText> {
  try {
    const { getDocumentProxy } = await import('unpdf');
    // Nothing in a document is run, and none of its fonts is loaded.
    const document = await getDocumentProxy(new Uint8Array(bytes), {
      isEvalSupported: false,
      disableFontFace: true,
      verbosity: 0,
    });
    try {
      const info = (await document.getMetadata().catch(() => null))?.info as { Title?: unknown } | undefined;
      const pages: string[] = [];
      let size = 0;
      for (let n = 1; n <= Math.min(document.numPages, MOST_PAGES) && size < MOST_CHARACTERS; n++) {
        const page = await document.getPage(n);
        const { items } = await page.getTextContent();
        const text = items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('');
        size += text.length;
        pages.push(`[Page ${n}]\n${text.trim()}`);
        page.cleanup();
      }
      const title = typeof info?.Title === 'string' ? info.Title.trim() : '';
      return { ...(title === '' ? {} : { title }), text: pages.join('\n\n').slice(0, MOST_CHARACTERS) };
    } finally {
      await document.destroy();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : 'unknown';
    throw new FetchError(`it is no PDF that can be read (${why})`);
  }
}
