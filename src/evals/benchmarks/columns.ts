// Columns of other people's files, which spell them in many ways. A row that lacks one is refused with what it has.

import { GptOssError } from '../../errors.ts';
import type { Row } from '../rows.ts';

/** The value of the first of these columns that the row has, whatever the case of its name. */
export function columnOf(row: Row, names: readonly string[]): unknown {
  const keys = Object.keys(row);
  for (const name of names) {
    const key = keys.find((each) => each.toLowerCase() === name);
    if (key !== undefined && row[key] !== null && row[key] !== undefined) return row[key];
  }
  return undefined;
}

export function textColumn(row: Row, index: number, names: readonly string[]): string {
  const value = columnOf(row, names);
  if (typeof value === 'string' && value.trim() !== '') return value;
  if (typeof value === 'number') return String(value);
  throw wrongRow(row, index, names.join(' or '));
}

export function wrongRow(row: Row, index: number, expected: string): GptOssError {
  const there = Object.keys(row).filter((key) => !key.startsWith(' '));
  return new GptOssError(
    'invalid-request',
    `question ${index + 1} has the columns ${there.slice(0, 12).join(', ') || '(none)'}; expected ${expected}; check that the file is of this benchmark`,
  );
}
