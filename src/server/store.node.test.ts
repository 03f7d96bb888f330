// The store on disk: both SQLites where they exist, restarts, limits, damage, full disks.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/server-process.ts';
import { openStore } from './store.node.ts';
import type { ResponseBody, StoredResponse } from './store.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

let count = 0;
const fresh = (): string => join(folder.path, `s${count++}`, 'responses.db');

function response(
  id: string,
  more: Partial<StoredResponse> = {},
  status: ResponseBody['status'] = 'completed',
): StoredResponse {
  return {
    id,
    owner: 'me',
    createdAt: Math.floor(Date.now() / 1000),
    previousId: null,
    body: { id, status, output: [], text: 'ü\u0000\ud83d\ude00' },
    input: [{ id: 'msg_1', type: 'message' }],
    said: [{ role: 'user', text: 'hello' }],
    history: [{ role: 'assistant', channel: 'final', content: 'x', ids: [1, 2, 3] }],
    calls: [{ id: 'c', name: 'f', arguments: '{}' }],
    ...more,
  };
}

const [major, minor] = process.versions.node.split('.').map(Number);
const hasNodeSqlite = major > 22 || (major === 22 && minor >= 13);

describe.each(['libsql', ...(hasNodeSqlite ? ['node'] : [])] as ('libsql' | 'node')[])('a store by %s', (sqlite) => {
  it('gives back what was put, also after a restart, to nobody but its user', async () => {
    const path = fresh();
    const store = await openStore(path, {}, sqlite);
    const one = response('a', { previousId: 'b' });
    store.put(one);
    expect(store.get('a')).toEqual(one);
    expect(store.get('b')).toBeNull();
    store.put({ ...one, owner: 'you' });
    expect(store.get('a')!.owner).toBe('you');
    store.close();
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o077).toBe(0);
    const again = await openStore(path, {}, sqlite);
    expect(again.get('a')).toEqual({ ...one, owner: 'you' });
    expect([again.delete('a'), again.delete('a'), again.get('a')]).toEqual([true, false, null]);
    again.close();
    again.close();
  });

  it('marks what a dead process was computing as failed, and nothing else', async () => {
    const path = fresh();
    const store = await openStore(path, {}, sqlite);
    store.put(response('done'));
    store.put(response('running', {}, 'in_progress'));
    store.close();
    const again = await openStore(path, {}, sqlite);
    expect(again.get('done')!.body.status).toBe('completed');
    expect(again.get('running')!.body).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
    again.close();
  });

  it('forgets the oldest by number, size and age', async () => {
    const now = Math.floor(Date.now() / 1000);
    const ids = async (options: object, responses: StoredResponse[]): Promise<string[]> => {
      const path = fresh();
      const store = await openStore(path, options, sqlite);
      for (const each of responses) store.put(each);
      store.close();
      const again = await openStore(path, options, sqlite);
      const left = responses.filter(({ id }) => again.get(id) !== null).map(({ id }) => id);
      again.close();
      return left;
    };
    const aged = (ages: number[]): StoredResponse[] =>
      ages.map((age, i) => response(`r${i}`, { createdAt: now - age }));
    expect(await ids({ maxResponses: 2 }, aged([300, 200, 100, 0]))).toEqual(['r2', 'r3']);
    expect(await ids({ maxDays: 1 }, aged([200_000, 90_000, 80_000, 0]))).toEqual(['r2', 'r3']);
    const large = aged([2, 1, 0]).map((each) => ({ ...each, body: { ...each.body, pad: 'x'.repeat(5000) } }));
    expect(await ids({ maxBytes: 12_000 }, large)).toEqual(['r1', 'r2']);
  });

  it('says when the disk is full, and goes on when it no longer is', async () => {
    const store = await openStore(fresh(), {}, sqlite);
    const { database } = store as unknown as { database: { exec(sql: string): void } };
    database.exec('PRAGMA max_page_count = 12');
    const big = response('big', { body: { id: 'big', status: 'completed', output: [], pad: 'x'.repeat(200_000) } });
    expect(() => store.put(big)).toThrow(/could not be written \(.*full.*\); expected room on the disk/);
    expect(store.get('big')).toBeNull();
    database.exec('PRAGMA max_page_count = 100000');
    store.put(big);
    expect(store.get('big')).toEqual(big);
    store.close();
  });

  it('refuses what is no store, and leaves it as it is', async () => {
    const path = fresh();
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, 'not a database, but somebody else wants to keep it '.repeat(100));
    await expect(openStore(path, {}, sqlite)).rejects.toThrow(/cannot be used .*; expected a file of stored responses/);
    expect(statSync(path).size).toBeGreaterThan(4000);
    await expect(openStore(join(path, 'below', 'a file.db'), {}, sqlite)).rejects.toMatchObject({ code: 'io' });
    // A folder that exists and in which nothing can be made: Node's recursive mkdir would try for ever.
    if (process.platform === 'linux') {
      await expect(openStore('/proc/none/store.db', {}, sqlite)).rejects.toMatchObject({ code: 'io' });
    }
  });
});
