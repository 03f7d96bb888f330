// Rows of questions as files hold them, and what a benchmark says of its files. Next: rows.node.ts (reads them).

export type Row = Readonly<Record<string, unknown>>;

export interface RowsOf {
  /** Which files of a folder hold the questions; where none fits, all that can be read. */
  readonly files: RegExp;
  /** Columns of CSV files without a header. */
  readonly headless?: readonly string[];
  /** Of wide parquet files, only these columns are read. */
  readonly columns?: readonly string[];
  /** Longest time that reading a parquet file may take. Default five minutes. */
  readonly parquetMs?: number;
}

/** Under this name each row says which file it is from. */
export const FILE = ' file';
