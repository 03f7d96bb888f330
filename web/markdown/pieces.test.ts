import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pieces } from './pieces.ts';

const text = [
  '# Title\n\nA paragraph\nof two lines.\n\n',
  '- one\n- two\n\n  more of two\n\n',
  '```ts\nconst a = 1;\n\n# no title\n```\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote\n\nlast *open',
].join('');

describe('pieces of growing Markdown', () => {
  it('are the whole text at any time, in order, however it arrives', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 30 }), (cuts) => {
        const pieces = new Pieces();
        for (const cut of [...cuts].sort((a, b) => a - b)) {
          pieces.update(text.slice(0, cut), false);
          expect(pieces.settled.join('') + pieces.open).toBe(text.slice(0, cut));
        }
        pieces.update(text, true);
        expect(pieces.settled.join('') + pieces.open).toBe(text);
        expect(pieces.open).toBe('');
      }),
    );
  });

  it('settle as soon as the next one has begun, and stay as they are', () => {
    const pieces = new Pieces();
    let settled: string[] = [];
    for (let end = 1; end <= text.length; end++) {
      pieces.update(text.slice(0, end), false);
      expect(pieces.settled.slice(0, settled.length)).toEqual(settled);
      settled = [...pieces.settled];
    }
    expect(settled.length).toBeGreaterThan(4);
    expect(settled.some((piece) => piece.startsWith('```ts') && piece.includes('# no title'))).toBe(true);
  });

  it('parse only the open end of a long text', () => {
    const pieces = new Pieces();
    const long = 'Words of a paragraph.\n\n'.repeat(4000);
    for (let end = 0; end < long.length; end += 997) pieces.update(long.slice(0, end), false);
    expect(pieces.settled.length).toBeGreaterThan(3900);
    expect(pieces.open.length).toBeLessThan(2000);
  });

  it('start again where the text is another one', () => {
    const pieces = new Pieces();
    pieces.update('a\n\nb\n\nc', false);
    pieces.update('x', false);
    expect([pieces.settled, pieces.open]).toEqual([[], 'x']);
  });

  it('take text of any kind', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (any) => {
        const pieces = new Pieces();
        pieces.update(any, true);
        expect(pieces.settled.join('') + pieces.open).toBe(any);
      }),
    );
  });
});
