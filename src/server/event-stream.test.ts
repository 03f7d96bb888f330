// A stream and its reader, by a clock that the test moves.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventStream } from './event-stream.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const times = { heartbeatMs: 10, stallMs: 30 };

/** Whether a promise has settled, once everything that can run has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = (): void => void (settled = true);
  promise.then(settle, settle);
  await vi.advanceTimersByTimeAsync(0);
  return settled;
}

describe('a stream', () => {
  it('is over when its reader has taken all of it, and no sooner', async () => {
    const stream = new EventStream(times);
    await stream.write('one');
    await stream.write('two');
    stream.end();
    expect(await isSettled(stream.over)).toBe(false);
    expect(await new Response(stream.body).text()).toBe('onetwo');
    expect(await isSettled(stream.over)).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is over at once when there is nothing left to read', async () => {
    const stream = new EventStream(times);
    const reader = stream.body.getReader();
    const first = reader.read();
    await stream.write('all');
    expect(new TextDecoder().decode((await first).value)).toBe('all');
    const second = reader.read(); // waits for what will not come
    await vi.advanceTimersByTimeAsync(0);
    stream.end();
    expect((await second).done).toBe(true);
    expect(await isSettled(stream.over)).toBe(true);
    const empty = new EventStream(times);
    empty.end();
    expect(await new Response(empty.body).text()).toBe('');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that nobody reads is given up after its time, whether it was ended or not', async () => {
    for (const isEnded of [false, true]) {
      const stream = new EventStream(times);
      await stream.write('unread');
      if (isEnded) stream.end();
      await vi.advanceTimersByTimeAsync(30);
      expect(stream.left.aborted).toBe(false);
      await vi.advanceTimersByTimeAsync(10);
      expect(stream.left.aborted).toBe(true);
      expect(await isSettled(stream.over)).toBe(true);
      await expect(new Response(stream.body).text()).rejects.toThrow('given up');
      await stream.write('late'); // nobody waits for what nobody reads
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it('that is read now and then is not given up', async () => {
    const stream = new EventStream(times);
    const reader = stream.body.getReader();
    for (let i = 0; i < 5; i++) {
      await stream.write('more');
      await vi.advanceTimersByTimeAsync(25);
      expect((await reader.read()).done).toBe(false);
    }
    expect(stream.left.aborted).toBe(false);
    await reader.cancel();
    expect(stream.left.aborted).toBe(true);
    expect(await isSettled(stream.over)).toBe(true);
  });

  it('holds its writer back while a slow reader catches up', async () => {
    const stream = new EventStream({ heartbeatMs: 10_000 });
    const reader = stream.body.getReader();
    await stream.write('x'.repeat(200_000));
    const written = stream.write('y'.repeat(200_000));
    expect(await isSettled(written)).toBe(false);
    await reader.read();
    expect(await isSettled(written)).toBe(true);
    const stuck = stream.write('z'.repeat(300_000));
    expect(await isSettled(stuck)).toBe(false);
    await reader.cancel();
    expect(await isSettled(stuck)).toBe(true);
  });

  it('beats while nothing comes, and only then', async () => {
    const stream = new EventStream({ heartbeatMs: 10, heartbeat: '.', stallMs: 1000 });
    const reader = stream.body.getReader();
    const read = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value);
    const first = read();
    await vi.advanceTimersByTimeAsync(10);
    expect(await first).toBe('.');
    const second = read();
    await vi.advanceTimersByTimeAsync(5);
    await stream.write('word');
    expect(await second).toBe('word');
    await vi.advanceTimersByTimeAsync(5); // something was written in this beat
    const third = read();
    await vi.advanceTimersByTimeAsync(10);
    expect(await third).toBe('.');
    await reader.cancel();
  });
});
