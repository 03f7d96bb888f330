// Owns: opening an SQLite database: node:sqlite where Node has it, else libsql. Next: whoever keeps something in one.

/** The part that node:sqlite and libsql have in common. */
export interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): void;
}

export interface Statement {
  run(...values: (string | number | null)[]): {
    readonly changes: number | bigint;
    readonly lastInsertRowid: number | bigint;
  };
  get(...values: (string | number | null)[]): unknown;
  all(...values: (string | number | null)[]): unknown[];
}

/** `path`: `:memory:` for one that is gone when it is closed. `wanted`: for tests; default: whichever is there. */
export async function openDatabase(path: string, wanted?: 'node' | 'libsql'): Promise<Database> {
  if (wanted !== 'libsql') {
    try {
      const name: string = 'node:sqlite'; // absent in Node 20, and so are its types
      const { DatabaseSync } = (await import(name)) as { DatabaseSync: new (path: string) => Database };
      return new DatabaseSync(path);
    } catch (error) {
      if (wanted === 'node' || (error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_BUILTIN_MODULE') throw error;
    }
  }
  const { default: Libsql } = await import('libsql');
  return new Libsql(path) as unknown as Database;
}
