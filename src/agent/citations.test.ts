import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CitationText } from './citations.ts';

const cite = (cursor: number): { url: string; title: string } | null =>
  cursor < 5 ? { url: `https://example.org/${cursor}`, title: `Page [${cursor}]` } : null;

function whole(pieces: readonly string[]): { text: string; links: string[] } {
  const stream = new CitationText(cite);
  const out = pieces.map((piece) => stream.push(piece));
  const text = out.map((each) => each.text).join('') + stream.flush();
  return {
    text,
    links: out.flatMap(({ citations }) => citations.map(({ start, end }) => text.slice(start, end))),
  };
}

describe('citations', () => {
  it('become links to the page', () => {
    const { text, links } = whole(['It is so【2†L3-L4】, and 【3†L1†example.org】.']);
    expect(text).toBe('It is so[Page \\[2\\]](<https://example.org/2>), and [Page \\[3\\]](<https://example.org/3>).');
    expect(links).toEqual(['[Page \\[2\\]](<https://example.org/2>)', '[Page \\[3\\]](<https://example.org/3>)']);
  });

  it('that point nowhere are left out; other brackets stay', () => {
    expect(whole(['a【9†L1】b【note】c【d【1†L1】e】f']).text).toBe(
      'ab【note】c【d[Page \\[1\\]](<https://example.org/1>)e】f',
    );
    expect(whole(['open 【1†L']).text).toBe('open 【1†L');
    expect(whole([`【${'x'.repeat(2000)}】`]).text).toBe(`【${'x'.repeat(2000)}】`);
  });

  it('cannot break out of the link', () => {
    const stream = new CitationText(() => ({ url: 'https://e.org/>)<script> x', title: '](javascript:1) *b*\n# h' }));
    const { text } = stream.push('【1†L1】');
    expect(text).toMatch(/^\[\\\]\(javascript:1\) \\\*b\\\* # h\]\(<https:\/\/e\.org\/%3E\)%3Cscript%3E%20x>\)$/);
  });

  it('are the same wherever the pieces are cut', () => {
    const text = fc.string({ unit: fc.constantFrom('【', '】', '†', '1', '7', 'L', 'a', ' '), maxLength: 60 });
    fc.assert(
      fc.property(text, fc.array(fc.nat({ max: 60 }), { maxLength: 8 }), (said, cuts) => {
        const places = [0, ...cuts.filter((cut) => cut < said.length).sort((a, b) => a - b), said.length];
        const pieces = places.slice(1).map((end, i) => said.slice(places[i]!, end));
        expect(whole(pieces)).toEqual(whole([said]));
      }),
      { numRuns: 500, seed: 3 },
    );
  });
});
