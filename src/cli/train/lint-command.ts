// `train lint FILE…`: every problem with its line and reason, and what the data amounts to. Exit 1 when a line is unusable.

import { readFileSync } from 'node:fs';
import { GptOssError } from '../../errors.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { fileError } from '../../formats/file.node.ts';
import { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { tokenizerOf } from '../../text/o200k-harmony.node.ts';
import { readUserData, type UserData } from '../../train/data/user-data.ts';
import { chooseModel } from '../choose-model.ts';
import type { Context } from '../context.ts';
import { safeJson, stripControls } from '../screen/controls.ts';
import type { TrainCommand } from './arguments.ts';

const SHOWN = 50; // problems of a file

export function lint(command: TrainCommand, context: Context): void {
  const { terminal, stores } = context;
  const checkpoint = openCheckpoint(chooseModel(command.model, stores).path);
  try {
    const encoding = new HarmonyEncoding(tokenizerOf(checkpoint.tokenizer, checkpoint.config.vocab));
    const longest = command.longest ?? Math.min(4096, checkpoint.config.maxContext);
    const reports = command.files.map((file) => ({ file, ...readData(file, encoding, longest) }));
    if (command.json) {
      const shown = reports.map(({ file, lines, good, tokens, learnedTokens, problems }) => ({
        ...{ file, lines, good, tokens, learned_tokens: learnedTokens, problems },
      }));
      terminal.out.write(`${safeJson(shown)}\n`);
    } else for (const report of reports) terminal.out.write(describe(report));
    const bad = reports.reduce(
      (sum, { problems }) => sum + problems.filter(({ severity }) => severity === 'error').length,
      0,
    );
    if (bad > 0) {
      throw new GptOssError(
        'invalid-request',
        `${bad} problems make lines unusable; expected none; correct the lines named above`,
      );
    }
  } finally {
    checkpoint.close();
  }
}

export function readData(file: string, encoding: HarmonyEncoding, longest: number): UserData {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw fileError(file, cause);
  }
  const text = utf8(bytes);
  if (text === null) {
    throw new GptOssError(
      'invalid-request',
      `${stripControls(file)}:${firstBadLine(bytes)} is no UTF-8 text; expected JSONL; save the file as UTF-8`,
    );
  }
  return readUserData(encoding, text, { longest });
}

function utf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function firstBadLine(bytes: Uint8Array): number {
  for (let line = 1, at = 0; ; line++) {
    const end = bytes.indexOf(10, at);
    if (end < 0 || utf8(bytes.subarray(at, end)) === null) return line;
    at = end + 1;
  }
}

function describe({ file, problems, lines, good, tokens, learnedTokens }: UserData & { file: string }): string {
  const name = stripControls(file);
  const listed = problems.slice(0, SHOWN).map(({ line, severity, code, message }) => {
    const place = line === 0 ? name : `${name}:${line}`;
    return `${place}: ${severity}: ${stripControls(message)} [${code}]\n`;
  });
  const more = problems.length > SHOWN ? `${name}: ${problems.length - SHOWN} more problems\n` : '';
  return `${listed.join('')}${more}${name}: ${good} of ${lines} lines are good, ${tokens} tokens, ${learnedTokens} of them learned\n`;
}
