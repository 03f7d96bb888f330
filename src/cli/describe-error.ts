// An error as one line for people: `gptoss: CODE: what happened; what was expected; what to do`, with the chain of
// causes under it when asked for. Never a stack trace: that is for a debugger.

import { isGptOssError } from '../errors.ts';
import { stripControls } from './screen/controls.ts';

export function describeError(error: unknown, verbose: boolean): string {
  const code = isGptOssError(error) ? error.code : codeOf(error);
  const lines = [`gptoss: ${code}: ${messageOf(error)}`];
  if (verbose) {
    let cause = error instanceof Error ? error.cause : undefined;
    for (let depth = 0; cause !== undefined && cause !== null && depth < 8; depth++) {
      lines.push(`  because: ${messageOf(cause)}`);
      cause = cause instanceof Error ? cause.cause : undefined;
    }
    if (code === 'internal' && error instanceof Error && error.stack) lines.push(stripControls(error.stack));
  }
  return lines.join('\n');
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return stripControls(message.replace(/\s*\n\s*/g, ' ')).trim();
}

/** What the system says about files, in our words; anything else is a mistake of ours. */
function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'not-found';
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return 'io';
  return error instanceof RangeError && /allocation|array length|buffer/i.test(error.message)
    ? 'out-of-memory'
    : 'internal';
}
