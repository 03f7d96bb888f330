// What the commands' own argument files are handed by arguments.ts: options that many share, and readers of values.

import type { Command as Program } from 'commander';

export interface CommandParts {
  addModelOptions(command: Program): void;
  addVerbosity(command: Program): void;
  collect(value: string, before: string[]): string[];
  whole(least: number): (value: string) => number;
  number(least: number, most: number): (value: string) => number;
}
