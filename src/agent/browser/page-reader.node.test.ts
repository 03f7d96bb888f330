// Pages that are read in a process of their own: the same pages as read here, and what becomes of those that would hang,
// fill the memory or break the reader.
import { deflateSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { PagesApart } from './page-reader.node.ts';
import { readHere } from './page-reader.ts';

const apart = new PagesApart();
afterAll(() => apart.close());

const url = 'https://example.org/a';
const html = (text: string) => ({ url, format: 'html' as const, text });
const small = html('<title>T</title><h1>Head</h1><p>Some <a href="/b">link</a> and <b>text</b>.');

/** A document of one page whose content is this stream, packed. */
function pdf(content: Buffer): Uint8Array {
  const packed = deflateSync(content, { level: 1 });
  const parts: Buffer[] = [Buffer.from('%PDF-1.4\n')];
  const offsets: number[] = [];
  let size = parts[0]!.length;
  const add = (...pieces: (string | Buffer)[]): void => {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece as string);
      parts.push(bytes);
      size += bytes.length;
    }
  };
  const object = (...pieces: (string | Buffer)[]): void => {
    offsets.push(size);
    add(`${offsets.length} 0 obj\n`, ...pieces, '\nendobj\n');
  };
  object('<< /Type /Catalog /Pages 2 0 R >>');
  object('<< /Type /Pages /Kids [3 0 R] /Count 1 >>');
  const font = '/Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>';
  object(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R ${font} >>`);
  object(`<< /Length ${packed.length} /Filter /FlateDecode >>\nstream\n`, packed, '\nendstream');
  const start = size;
  const row = (at: number): string => `${String(at).padStart(10, '0')} 00000 n \n`;
  add(`xref\n0 5\n0000000000 65535 f \n${offsets.map(row).join('')}`);
  add(`trailer << /Size 5 /Root 1 0 R >>\nstartxref\n${start}\n%%EOF`);
  return Buffer.concat(parts);
}

describe('a page that is read apart', () => {
  it('is the page that would be read here', async () => {
    const document = pdf(Buffer.from('BT /F 12 Tf 20 20 Td (Hello there) Tj ET'));
    expect(await apart.page(small)).toEqual(await readHere.page(small));
    const text = { ...small, format: 'text' as const };
    expect(await apart.page(text)).toEqual(await readHere.page(text));
    expect(await apart.page(small, { viewSource: true })).toEqual(await readHere.page(small, { viewSource: true }));
    expect(await apart.pdf(document)).toEqual(await readHere.pdf(document));
    expect((await apart.pdf(document)).text).toContain('Hello there');
  });

  it('is given up when it takes too long, and the next one is read', async () => {
    const long = html('<p>some <i>words</i> <a href="/x">there</a>'.repeat(100_000));
    await expect(apart.page(long, { seconds: 0.001 })).rejects.toThrow('it takes longer than 0.001 s to read');
    expect((await apart.page(small)).title).toBe('T');
  });

  it('is given up when it takes too much memory, and the next one is read', async () => {
    const narrow = new PagesApart({ memoryMiB: 300 });
    const bomb = pdf(Buffer.alloc(600 * 2 ** 20, ' '));
    expect(bomb.length).toBeLessThan(4 * 2 ** 20);
    await expect(narrow.pdf(bomb)).rejects.toThrow(/too much memory/);
    expect((await narrow.page(small)).title).toBe('T');
    narrow.close();
  });

  it('is told as a page that cannot be read when it is no PDF', async () => {
    await expect(apart.pdf(Buffer.from('%PDF-1.4 and nothing'))).rejects.toThrow('it is no PDF that can be read');
    expect(await Promise.all([1, 2, 3, 4, 5].map(async () => (await apart.page(small)).title))).toEqual(
      Array.from({ length: 5 }, () => 'T'),
    );
  });

  it('ends with an error when the reader is closed', async () => {
    const other = new PagesApart();
    const reading = other.page(small);
    other.close();
    await expect(reading).rejects.toThrow('it was closed');
  });
});
