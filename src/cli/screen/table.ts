// Plain tables for reports, and sizes for people. Widths count what a terminal shows; numbers stand on the right.

import { textWidth } from './style.ts';

export type Cell = string | number;

/** Columns two spaces apart; a column whose cells are all numbers (or begin with a digit) is aligned right. */
export function table(rows: readonly (readonly Cell[])[], header?: readonly string[]): string {
  const all = (header ? [header, ...rows] : rows).map((row) => row.map(String));
  const columns = Math.max(0, ...all.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...all.map((row) => textWidth(row[i] ?? ''))));
  const isRight = Array.from({ length: columns }, (_, i) =>
    rows.every((row) => row[i] === undefined || row[i] === '' || /^[-–]$|^-?[\d.]/.test(String(row[i]))),
  );
  return all
    .map((row) =>
      row
        .map((cell, i) => {
          const gap = ' '.repeat(widths[i]! - textWidth(cell));
          return isRight[i] ? gap + cell : cell + gap;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Decimal units, as disks and downloads are sold. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${units[unit]}`;
}

/** 20,914,757,184 -> "20.9 billion". */
export function count(value: number): string {
  if (value < 1e4) return String(value);
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} thousand`;
  if (value < 1e9) return `${(value / 1e6).toPrecision(3)} million`;
  return `${(value / 1e9).toPrecision(3)} billion`;
}
