// Random schedules against a pool whose pages really hold something: the hash of the tokens before each position.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeCache, nextHash } from './model.testing.ts';
import type { PageTable } from './page-table.ts';
import { PagePool, type PagePoolSpec } from './pages.ts';

const START = 0x9e3779b9;

/** A pool with memory: the fake cache throws when a step rests on what is not there. */
function makePool(spec: PagePoolSpec) {
  const cache = new FakeCache({ ...spec, layers: [], kvHeads: 1, headDim: 1, type: 'f32' });
  const pool = new PagePool(spec, (group, from, to) => cache.copyPage(group, from, to));
  const write = (table: PageTable, tokens: Int32Array, rows: number): void => {
    const { length } = table;
    cache.step(table.rows(rows), tokens.subarray(length, length + rows), spec.window, spec.slidingLayers);
  };
  /** Fills a draft as from a file. */
  const restore = (table: PageTable, tokens: Int32Array): void => {
    let hash = START;
    for (let p = 0; p < tokens.length; p++) {
      const next = nextHash(hash, tokens[p]);
      cache.write('full', table.fullPages, p, hash, next, spec.slidingLayers);
      if (p >= table.firstSliding * spec.pageTokens) {
        cache.write('sliding', table.slidingPages, p, hash, next, spec.slidingLayers);
      }
      hash = next;
    }
  };
  const compute = (table: PageTable, tokens: Int32Array, rows: number): boolean => {
    if (!table.reserve(rows)) return false;
    write(table, tokens, rows);
    table.commit(tokens, rows);
    return true;
  };
  return { pool, cache, write, compute, restore };
}

const spec: PagePoolSpec = { pageTokens: 4, window: 6, fullPages: 20, slidingPages: 12, slidingLayers: 2 };
const text = (length: number, salt = 0): Int32Array => Int32Array.from({ length }, (_, i) => (i * 7 + salt) % 97);
const joined = (...parts: Int32Array[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));

describe('pages', () => {
  it('never leak, are never freed twice and never shared wrongly under random schedules', () => {
    const action = fc.record({
      kind: fc.constantFrom(
        ...(['open', 'open', 'open', 'step', 'read', 'read', 'read', 'read', 'lost'] as const),
        ...(['close', 'close', 'close', 'clear', 'restore', 'draft'] as const),
      ),
      which: fc.nat(7),
      from: fc.nat(7),
      cut: fc.nat(60),
      extra: fc.array(fc.nat(2), { minLength: 1, maxLength: 40, size: 'max' }),
      rows: fc.integer({ min: 1, max: 14 }),
      marks: fc.array(fc.nat(40), { maxLength: 2 }),
    });
    let rebuilds = 0;
    fc.assert(
      fc.property(
        fc.array(action, { minLength: 20, maxLength: 120, size: 'max' }),
        fc.constantFrom(
          spec,
          { ...spec, fullPages: 60, slidingPages: 9 },
          { ...spec, fullPages: 60, slidingPages: 8, slidingLayers: 1 },
          { ...spec, fullPages: 60, slidingPages: 10, slidingLayers: 3, window: 5 },
          { ...spec, window: 1, slidingPages: 40 },
          { ...spec, slidingLayers: 0 },
        ),
        (actions, chosen) => {
          const { pool, write, compute, restore } = makePool(chosen);
          const open: { table: PageTable; tokens: Int32Array }[] = [];
          const texts: Int32Array[] = [new Int32Array(0)];
          for (const { kind, which, from, cut, extra, rows, marks } of actions) {
            const one = open[which % Math.max(1, open.length)];
            if (kind === 'open') {
              const base = texts[from % texts.length];
              const tokens = joined(base.subarray(0, cut), Int32Array.from(extra), Int32Array.of(3));
              texts.push(tokens);
              if (texts.length > 12) texts.shift();
              const expected = pool.match(tokens, tokens.length - 1);
              const table = pool.open(tokens, tokens.length - 1, marks);
              expect(table.length).toBeLessThanOrEqual(Math.max(expected.length, expected.known - spec.window));
              if (table.fullFrom > 0) rebuilds++;
              open.push({ table, tokens });
            } else if (kind === 'clear') pool.clear();
            else if (kind === 'restore' || kind === 'draft') {
              const base = texts[from % texts.length];
              const tokens = base.subarray(0, Math.min(cut + 1, base.length));
              const table = pool.draft(tokens.length);
              if (table !== null) {
                restore(table, tokens);
                if (kind === 'restore') table.commit(tokens, tokens.length);
                table.close();
              }
            } else if (one !== undefined) {
              const n = Math.min(rows, one.tokens.length - one.table.length);
              if (kind === 'step' && n > 0) compute(one.table, one.tokens, n);
              if (kind === 'read') while (one.table.length < one.tokens.length && compute(one.table, one.tokens, 1));
              if (kind === 'lost' && n > 0 && one.table.reserve(n)) write(one.table, one.tokens, n);
              if (kind === 'close') {
                one.table.close();
                open.splice(open.indexOf(one), 1);
              }
            }
            pool.audit();
          }
          // Every sequence can still be read to its end: what is there is right.
          for (const { table } of open.slice(1)) table.close();
          for (const { table, tokens } of open.slice(0, 1)) {
            while (table.length < tokens.length && compute(table, tokens, 1));
            table.close();
          }
          pool.audit();
          pool.clear();
          pool.audit();
          expect(pool.occupied('full') + pool.occupied('sliding')).toBe(0);
        },
      ),
      { numRuns: 300, seed: 7 },
    );
    expect(rebuilds).toBeGreaterThan(100);
  });

  it('give a longer prompt exactly what was computed before it', () => {
    const { pool, compute } = makePool(spec);
    const tokens = text(23);
    const first = pool.open(tokens, tokens.length);
    expect(compute(first, tokens, 23)).toBe(true);
    first.close();
    const longer = joined(tokens, Int32Array.of(1, 2, 3));
    const second = pool.open(longer, longer.length - 1);
    expect(second.length).toBe(23);
    expect(compute(second, longer, 3)).toBe(true);
  });

  it('copy a page before writing into it when another sequence still reads it, and only then', () => {
    const { pool, cache, compute } = makePool(spec);
    const tokens = text(6);
    const first = pool.open(tokens, tokens.length);
    compute(first, tokens, 6);
    const left = joined(tokens, Int32Array.of(1, 1));
    const right = joined(tokens, Int32Array.of(2, 2));
    const second = pool.open(left, left.length - 1);
    const third = pool.open(right, right.length - 1);
    expect([second.length, third.length]).toEqual([6, 6]);
    expect(cache.copies).toBe(4); // one full and one sliding page for each
    for (const [table, ids] of [[second, left] as const, [third, right] as const])
      expect(compute(table, ids, 2)).toBe(true);
    for (const table of [first, second, third]) table.close();
    const again = joined(left, Int32Array.of(5, 5));
    cache.copies = 0;
    pool.open(again, again.length - 1).close();
    expect(cache.copies).toBe(0); // a page end needs no copy
  });

  it('share a page up to the token where two texts part', () => {
    const { pool, compute } = makePool(spec);
    const tokens = text(11);
    const first = pool.open(tokens, tokens.length, [10]);
    compute(first, tokens, 11);
    first.close();
    const other = joined(tokens.subarray(0, 10), Int32Array.of(90, 91));
    const second = pool.open(other, other.length - 1);
    expect(second.length).toBe(10);
    expect(compute(second, other, 2)).toBe(true);
  });

  it('keep the sliding pages at marks while others are taken again', () => {
    const { pool, compute } = makePool({ ...spec, fullPages: 64, slidingPages: 9 });
    const tokens = text(120);
    const first = pool.open(tokens, tokens.length, [41]);
    for (let i = 0; i < 12; i++) expect(compute(first, tokens, 10)).toBe(true);
    first.close();
    const at = (length: number) => pool.match(joined(tokens.subarray(0, length), Int32Array.of(96, 95)), length + 1);
    expect(at(41)).toMatchObject({ length: 41, known: 41 });
    expect(at(42)).toMatchObject({ length: 42, known: 42 }); // the mark's own token may be shared, too
    expect(at(60)).toMatchObject({ length: 44, known: 60 }); // sliding pages gone: back to the last place they serve
    expect(at(119)).toMatchObject({ length: 119, known: 119 });
  });

  it('refuse a reservation they cannot fill, and change nothing', () => {
    const { pool, compute } = makePool(spec);
    const tokens = text(100);
    const first = pool.open(tokens, tokens.length);
    expect(compute(first, tokens, 40)).toBe(true);
    const second = pool.open(text(60, 5), 60);
    expect(second.reserve(44)).toBe(false);
    expect(second.nodes.length).toBe(0);
    pool.audit();
    first.close();
    expect(second.reserve(44)).toBe(true);
    pool.audit();
  });

  it('are evicted from the end of what was used longest ago', () => {
    const { pool, compute } = makePool({ ...spec, fullPages: 8, slidingPages: 8 });
    const [old, recent] = [text(16), text(12, 50)];
    for (const tokens of [old, recent]) {
      const table = pool.open(tokens, tokens.length);
      compute(table, tokens, tokens.length);
      table.close();
    }
    const fresh = pool.open(text(12, 30), 12);
    expect(compute(fresh, text(12, 30), 12)).toBe(true);
    expect(pool.match(recent, 12).length).toBe(12);
    expect(pool.match(old, 16).known).toBe(8);
  });

  it('do not pile up when the same text ends in the same place again and again', () => {
    const { pool, compute } = makePool(spec);
    const tokens = text(10);
    for (let i = 0; i < 20; i++) {
      const table = pool.open(tokens, tokens.length - 1);
      compute(table, tokens, tokens.length - table.length);
      table.close();
      pool.audit();
    }
    expect(pool.occupied('full')).toBe(3);
  });

  it('cannot be closed twice', () => {
    const { pool } = makePool(spec);
    const table = pool.open(text(3), 3);
    table.close();
    expect(() => table.close()).toThrow('twice');
  });
});

describe('pages of a prefix whose sliding keys are gone', () => {
  const wide = { ...spec, fullPages: 80, slidingPages: 9 };
  const layers = 3;
  const readThrough = (
    table: PageTable,
    tokens: Int32Array,
    compute: (t: PageTable, x: Int32Array, n: number) => boolean,
  ) => {
    let rows = 0;
    while (table.length < tokens.length) {
      const n = Math.min(5, tokens.length - table.length);
      expect(compute(table, tokens, n)).toBe(true);
      rows += n;
    }
    return rows;
  };

  it('are filled again from one window for each sliding layer before the end, and are everybody’s then', () => {
    const { pool, compute } = makePool({ ...wide, slidingLayers: layers });
    const tokens = text(200);
    const first = pool.open(tokens, tokens.length);
    readThrough(first, tokens, compute);
    first.close();
    const other = joined(tokens.subarray(0, 121), Int32Array.of(96, 95, 94, 93, 92, 91));
    expect(pool.match(other, other.length - 1)).toMatchObject({ known: 121 });
    const table = pool.open(other, other.length - 1);
    expect(table.length).toBe(120 - 16); // 3 layers × 5 tokens, up to whole pages
    expect(table.fullFrom).toBe(120);
    pool.audit();
    readThrough(table, other, compute);
    pool.audit();
    table.close();
    pool.audit();
    expect(pool.match(other, other.length)).toMatchObject({ length: other.length });
    // Wherever another one branches off now, what it is given is right, or said not to be there.
    for (let length = 90; length < 126; length++) {
      const branch = joined(other.subarray(0, length), Int32Array.of(88));
      const next = pool.open(branch, length);
      expect(compute(next, branch, 1)).toBe(true);
      next.close();
      pool.audit();
    }
    const given = pool.open(joined(tokens.subarray(0, 60), Int32Array.of(96)), 60);
    expect(given.fullFrom).toBe(60);
    expect(compute(given, tokens, 5)).toBe(true);
    given.close(); // in the middle of it
    pool.audit();
  });

  it('are read from the start of what is there when that is nearer', () => {
    const { pool, compute } = makePool({ ...wide, slidingLayers: layers });
    const tokens = text(120);
    const first = pool.open(tokens, tokens.length, [60]);
    readThrough(first, tokens, compute);
    first.close();
    const at = (length: number): PageTable =>
      pool.open(joined(tokens.subarray(0, length), Int32Array.of(96, 95)), length + 1);
    const near = at(70);
    expect([near.length, near.fullFrom]).toEqual([64, 0]); // the page that the mark lies in was kept whole
    near.close();
    const far = at(100);
    expect([far.length, far.fullFrom]).toEqual([84, 100]);
    far.close();
    pool.audit();
  });
});
