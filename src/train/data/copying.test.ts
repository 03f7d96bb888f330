// Pages that repeat themselves: what comes again is what stood there before, comparisons are right, draws repeat.
import { describe, expect, it } from 'vitest';
import { Random } from '../tasks/random.ts';
import { copyingPage } from './copying.ts';

const pages = Array.from({ length: 300 }, (_, n) => copyingPage(new Random(3, 'page', n)));
const linesBefore = (page: string, line: string): string[] => page.slice(0, page.indexOf(line)).split('\n');

describe('a page on which things come again', () => {
  it('is a function of its draws', () => {
    expect(pages.slice(0, 20)).toEqual(pages.slice(0, 20).map((_, n) => copyingPage(new Random(3, 'page', n))));
  });

  it('answers with what stood beside the same word', () => {
    let asked = 0;
    for (const page of pages) {
      for (const [line, key, value] of page.matchAll(/^(?!What)(\S+)\? (?!yes|no)(\S+)$/gm)) {
        asked++;
        const known = linesBefore(page, line!).some((before) => before.includes(key!) && before.endsWith(value!));
        expect(known, `${line} in\n${page}`).toBe(true);
      }
      for (const [line, , name, value] of page.matchAll(/^(\S+) of (\S+): (\S+)$/gm)) {
        asked++;
        const known = linesBefore(page, line!).some((before) => before.includes(name!) && before.includes(value!));
        expect(known, `${line} in\n${page}`).toBe(true);
      }
      for (const [line, name, words] of page.matchAll(/^What did (\S+) say\? "(.*)"$/gm)) {
        asked++;
        expect(linesBefore(page, line!)).toContain(`${name} said "${words}".`);
      }
    }
    expect(asked).toBeGreaterThan(400);
  });

  it('repeats lists as they are and from the end', () => {
    let found = 0;
    for (const page of pages) {
      const again = /^Again: (.*)$/m.exec(page)?.[1];
      if (again === undefined) continue;
      found++;
      expect(page.split('\n')[0]).toBe(again);
      const reversed = /^From the end: (.*)$/m.exec(page)?.[1];
      if (reversed !== undefined) expect(reversed.split(', ').reverse().join(', ')).toBe(again);
    }
    expect(found).toBeGreaterThan(10);
  });

  it('calls what was declared, with its own parameters', () => {
    let found = 0;
    for (const page of pages) {
      for (const [line, name, text] of page.matchAll(/^(\w+) (\{.*\})$/gm)) {
        const declared = linesBefore(page, line!).find((before) => before.startsWith(`${name}(`));
        if (declared === undefined) continue; // a row of a table
        found++;
        const parameters = /\((.*)\)/.exec(declared)![1]!.split(', ');
        expect(Object.keys(JSON.parse(text!)).sort(), page).toEqual(parameters.sort());
      }
    }
    expect(found).toBeGreaterThan(30);
  });

  it('compares rightly', () => {
    let found = 0;
    for (const page of pages) {
      for (const [, a, sign, b] of page.matchAll(/^(\d+) ([<>=]) (\d+)$/gm)) {
        if (!page.includes('larger') && !page.includes('? yes') && !page.includes('? no')) continue; // pairs that only look so
        found++;
        expect(Math.sign(Number(a) - Number(b)), `${a} ${sign} ${b}`).toBe({ '<': -1, '=': 0, '>': 1 }[sign!]);
      }
      for (const [, a, b, most, least] of page.matchAll(/^(\d+) and (\d+): larger (\d+), smaller (\d+)$/gm)) {
        expect([Math.max(Number(a), Number(b)), Math.min(Number(a), Number(b))]).toEqual([Number(most), Number(least)]);
      }
      for (const [, a, sign, b, said] of page.matchAll(/^(\d+) ([<>]) (\d+)\? (yes|no)$/gm)) {
        const isSo = sign === '<' ? Number(a) < Number(b) : Number(a) > Number(b);
        expect(said).toBe(isSo ? 'yes' : 'no');
      }
    }
    expect(found).toBeGreaterThan(20);
  });
});
