// Reading ahead: when it is done, when it is told, and that stopping it stops it.
import { describe, expect, it, vi } from 'vitest';
import type { PopulateOptions } from '../backend/backend.ts';
import type { Context } from './context.ts';
import { readAhead } from './read-ahead.ts';

const GB = 1e9;

function context(signal = new AbortController().signal): Context {
  return { terminal: { err: { isTerminal: false, write: () => true } }, signal } as unknown as Context;
}

const model = (mappedBytes: number) => ({
  mappedBytes,
  populate: vi.fn(async ({ signal, progress }: PopulateOptions = {}) => {
    signal?.throwIfAborted();
    progress?.(mappedBytes, mappedBytes);
  }),
});

describe('reading ahead', () => {
  it('brings a model that fits into memory', async () => {
    const said: string[] = [];
    const big = model(12 * GB);
    await readAhead(big, context(), { quiet: false, say: (text) => said.push(text), availableBytes: 20 * GB });
    expect(big.populate).toHaveBeenCalledOnce();
    expect(said).toEqual([]);
  });

  it('leaves one that does not fit to come and go, and says so', async () => {
    const said: string[] = [];
    const big = model(12 * GB);
    await readAhead(big, context(), { quiet: false, say: (text) => said.push(text), availableBytes: 8 * GB });
    expect(big.populate).not.toHaveBeenCalled();
    expect(said).toEqual([expect.stringContaining('from the disk')]);
  });

  it('does not care about small ones', async () => {
    const small = model(3e6);
    await readAhead(small, context(), { quiet: false, say: () => expect.unreachable(), availableBytes: 1 });
    expect(small.populate).not.toHaveBeenCalled();
  });

  it('ends when the user has had enough', async () => {
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    const options = { quiet: true, say: () => undefined, availableBytes: 20 * GB };
    await expect(readAhead(model(12 * GB), context(stop.signal), options)).rejects.toThrow('enough');
  });
});
