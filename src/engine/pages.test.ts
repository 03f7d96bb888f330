// Random schedules against a pool whose pages really hold something: the hash of the tokens before each position.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeCache, nextHash } from './model.testing.ts';
import type { PageTable } from './page-table.ts';
import { PagePool, type PagePoolSpec } from './pages.ts';

const START = 0x9e3779b9;

/** A pool with memory; `write` and `check` play the part of a model's step. */
function makePool(spec: PagePoolSpec) {
  const cache = new FakeCache({ ...spec, layers: [], kvHeads: 1, headDim: 1, type: 'f32' });
  const pool = new PagePool(spec, (group, from, to) => cache.copyPage(group, from, to));
  const check = (table: PageTable, tokens: Int32Array): void => {
    let hash = START;
    const visible = Math.max(0, table.length - spec.window + 1);
    for (let p = 0; p < table.length; p++) {
      expect(cache.follow('full', table.fullPages, p, hash)).toBe(nextHash(hash, tokens[p]));
      if (p >= visible) cache.follow('sliding', table.slidingPages, p, hash);
      hash = nextHash(hash, tokens[p]);
    }
  };
  const write = (table: PageTable, tokens: Int32Array, rows: number): void => {
    let hash = START;
    for (let p = 0; p < table.length + rows; p++) {
      const next = nextHash(hash, tokens[p]);
      if (p >= table.length) {
        cache.write('full', table.fullPages, p, hash, next);
        cache.write('sliding', table.slidingPages, p, hash, next);
      }
      hash = next;
    }
  };
  /** Fills a draft as from a file. */
  const restore = (table: PageTable, tokens: Int32Array): void => {
    let hash = START;
    for (let p = 0; p < tokens.length; p++) {
      const next = nextHash(hash, tokens[p]);
      cache.write('full', table.fullPages, p, hash, next);
      if (p >= table.firstSliding * spec.pageTokens) cache.write('sliding', table.slidingPages, p, hash, next);
      hash = next;
    }
  };
  const compute = (table: PageTable, tokens: Int32Array, rows: number): boolean => {
    check(table, tokens);
    if (!table.reserve(rows)) return false;
    write(table, tokens, rows);
    table.commit(tokens, rows);
    return true;
  };
  return { pool, cache, check, write, compute, restore };
}

const spec: PagePoolSpec = { pageTokens: 4, window: 6, fullPages: 20, slidingPages: 12 };
const text = (length: number, salt = 0): Int32Array => Int32Array.from({ length }, (_, i) => (i * 7 + salt) % 97);
const joined = (...parts: Int32Array[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));

describe('pages', () => {
  it('never leak, are never freed twice and never shared wrongly under random schedules', () => {
    const action = fc.record({
      kind: fc.constantFrom(
        'open',
        'open',
        'step',
        'step',
        'step',
        'step',
        'lost',
        'close',
        'clear',
        'restore',
        'draft',
      ),
      which: fc.nat(7),
      from: fc.nat(7),
      cut: fc.nat(40),
      extra: fc.array(fc.nat(2), { maxLength: 24 }),
      rows: fc.integer({ min: 1, max: 14 }),
      marks: fc.array(fc.nat(40), { maxLength: 2 }),
    });
    fc.assert(
      fc.property(
        fc.array(action, { minLength: 20, maxLength: 120 }),
        fc.constantFrom(spec, { ...spec, fullPages: 40, slidingPages: 9 }, { ...spec, window: 1, slidingPages: 40 }),
        (actions, chosen) => {
          const { pool, check, write, compute, restore } = makePool(chosen);
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
              expect(table.length).toBeLessThanOrEqual(expected.length);
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
              if (kind === 'lost' && n > 0 && one.table.reserve(n)) write(one.table, one.tokens, n);
              if (kind === 'close') {
                one.table.close();
                open.splice(open.indexOf(one), 1);
              }
            }
            pool.audit();
            for (const { table, tokens } of open) check(table, tokens);
          }
          for (const { table } of open) table.close();
          pool.audit();
          pool.clear();
          pool.audit();
          expect(pool.occupied('full') + pool.occupied('sliding')).toBe(0);
        },
      ),
      { numRuns: 300, seed: 7 },
    );
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
