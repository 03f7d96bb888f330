// Owns: responses in an SQLite file. It survives a killed process (a write is whole or absent) and a full disk (the write
// throws `io`, the answer goes out regardless). Uses node:sqlite where Node has it, else libsql.
// Refuses: to grow without bound (the oldest go first), to leave deleted text in the file, to open what is no store.
// Next: store.ts.

import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Database, openDatabase, type Statement } from '../agent/sqlite.node.ts';
import { makeFolder } from '../engine/make-folder.node.ts';
import { GptOssError } from '../errors.ts';
import { MAX_STORED, type ResponseBody, type ResponseStore, type StoredResponse } from './store.ts';

export interface SqliteStoreOptions {
  readonly maxResponses?: number;
  readonly maxBytes?: number;
  readonly maxDays?: number;
}

const VERSION = 1; // of the tables
const PURGE_EVERY = 64; // writes

const SCHEMA = `
  CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created INTEGER NOT NULL,
    previous TEXT,
    status TEXT NOT NULL,
    process INTEGER,           -- that computes it, while it runs
    body TEXT NOT NULL,        -- JSON, as clients get it
    conversation TEXT NOT NULL -- JSON: input, said, history, calls
  ) STRICT;
  CREATE INDEX responses_by_age ON responses (created);
  PRAGMA user_version = ${VERSION};
`;

/** `sqlite`: for tests; default: whichever is there. */
export async function openStore(
  path: string,
  options: SqliteStoreOptions = {},
  sqlite?: 'node' | 'libsql',
): Promise<ResponseStore> {
  let database: Database | null = null;
  try {
    makeFolder(dirname(path)); // nobody else's
    closeSync(openSync(path, 'a', 0o600)); // conversations are nobody else's business
    database = await openDatabase(path, sqlite);
    // A writer that is killed leaves a log that the next one applies or drops as a whole.
    database.exec('PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    database.exec('PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 8388608;');
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    if (version === 0) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
    else if (version !== VERSION) throw new Error(`it is of version ${version}, this program writes ${VERSION}`);
    return new SqliteStore(database, options);
  } catch (error) {
    database?.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new GptOssError(
      'io',
      `the store ${path} cannot be used (${reason}); expected a file of stored responses or none; remove it or name another with --store`,
      { cause: error },
    );
  }
}

interface Row {
  readonly id: string;
  readonly owner: string;
  readonly created: number;
  readonly previous: string | null;
  readonly process: number | null;
  readonly body: string;
  readonly conversation: string;
}

class SqliteStore implements ResponseStore {
  /** For tests, which make it fail. */
  readonly database: Database;
  readonly #options: Required<SqliteStoreOptions>;
  readonly #put: Statement;
  readonly #get: Statement;
  readonly #delete: Statement;
  #writes = 0;
  #isClosed = false;

  constructor(database: Database, options: SqliteStoreOptions) {
    this.database = database;
    this.#options = { maxResponses: MAX_STORED, maxBytes: 1024 * 2 ** 20, maxDays: 30, ...options };
    this.#put = database.prepare(
      'INSERT OR REPLACE INTO responses (id, owner, created, previous, status, process, body, conversation) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#get = database.prepare('SELECT * FROM responses WHERE id = ?');
    this.#delete = database.prepare('DELETE FROM responses WHERE id = ?');
    this.#failOrphans();
    this.#purge();
  }

  put(response: StoredResponse): void {
    const { id, owner, createdAt, previousId, body, input, said, history, calls } = response;
    const isRunning = body.status === 'queued' || body.status === 'in_progress';
    const conversation = JSON.stringify({ input, said, history, calls });
    this.#try('written', () => {
      const who = isRunning ? process.pid : null;
      this.#put.run(id, owner, createdAt, previousId, body.status, who, JSON.stringify(body), conversation);
      if (++this.#writes % PURGE_EVERY === 0) this.#purge();
    });
  }

  get(id: string): StoredResponse | null {
    return this.#try('read', () => {
      const row = this.#get.get(id) as Row | undefined;
      if (row === undefined) return null;
      const { owner, created: createdAt, previous: previousId } = row;
      const conversation = JSON.parse(row.conversation) as Pick<StoredResponse, 'input' | 'said' | 'history' | 'calls'>;
      return { id: row.id, owner, createdAt, previousId, body: JSON.parse(row.body) as ResponseBody, ...conversation };
    });
  }

  delete(id: string): boolean {
    return this.#try('written', () => Number(this.#delete.run(id).changes) > 0);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.database.close();
  }

  /** What a process that is gone was computing will never be complete. */
  #failOrphans(): void {
    const running = this.database.prepare('SELECT * FROM responses WHERE process IS NOT NULL').all() as Row[];
    for (const row of running) {
      if (row.process !== process.pid && isAlive(row.process!)) continue;
      const body = JSON.parse(row.body) as ResponseBody;
      const error = { code: 'server_error', message: 'the server stopped before the response was complete' };
      const failed = JSON.stringify({ ...body, status: 'failed', error });
      this.database
        .prepare("UPDATE responses SET status = 'failed', process = NULL, body = ? WHERE id = ?")
        .run(failed, row.id);
    }
  }

  #purge(): void {
    const { maxResponses, maxBytes, maxDays } = this.#options;
    const oldest = Math.floor(Date.now() / 1000) - maxDays * 86_400;
    this.database.prepare('DELETE FROM responses WHERE created < ?').run(oldest);
    // Newest first, as long as count and size last.
    this.database
      .prepare(
        `DELETE FROM responses WHERE id IN (
           SELECT id FROM (
             SELECT id, row_number() OVER newest AS place, sum(length(body) + length(conversation)) OVER newest AS size
             FROM responses WINDOW newest AS (ORDER BY created DESC, id)
           ) WHERE place > ? OR size > ?
         )`,
      )
      .run(maxResponses, maxBytes);
  }

  #try<T>(what: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new GptOssError('io', `the store could not be ${what} (${reason}); expected room on the disk; make some`, {
        cause: error,
      });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
