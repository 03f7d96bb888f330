// Owns: calls of tools on the screen: what went in, what came out, on stderr and dimmed, cut to a few lines; and the
// question whether a call may do what it would do. Everything from the model or a tool is stripped of what a terminal
// would obey. Next: chat/chat.ts and run.ts, which use it.

import type { PermissionAnswer, PermissionRequest } from '../../agent/permission.ts';
import { stripControls } from '../screen/controls.ts';
import type { ToolEvent } from '../speaker.ts';
import { type Output, styled } from '../terminal.ts';

const MOST_LINES = 24;

export function showTool(event: ToolEvent, err: Output): void {
  const say = (text: string, ...styles: Parameters<typeof styled>[2][]): void =>
    err.write(`${styled(err, text, ...styles)}\n`);
  if (event.type === 'start') {
    say(`▸ ${stripControls(event.name)}`, 'bold');
    for (const line of fewLines(event.input)) say(`  ${line}`, 'cyan');
    return;
  }
  const seconds = event.ms < 100 ? '' : ` · ${(event.ms / 1000).toFixed(1)} s`;
  for (const line of fewLines(event.output)) say(`  ${line}`, event.isError ? 'red' : 'dim');
  for (const file of event.files) say(`  file: ${stripControls(file.name)} (${file.bytes.length} bytes)`, 'dim');
  say(`◂ ${stripControls(event.name)}${event.isError ? ' failed' : ''}${seconds}`, 'dim');
}

/** The question, and how its answer is read. */
export function permissionQuestion({ tool, effects, summary }: PermissionRequest): string {
  const what = effects.map((effect) => (effect === 'network' ? 'leave this machine' : 'write')).join(' and ');
  return `${stripControls(tool)} wants to ${what}: ${stripControls(summary)}\nallow? y: once, s: for this session, n: no`;
}

export function permissionAnswer(text: string | null): PermissionAnswer {
  switch (text?.trim().toLowerCase()) {
    case 'y':
    case 'yes':
    case 'once':
      return 'once';
    case 's':
    case 'session':
    case 'always':
      return 'session';
    default:
      return 'no';
  }
}

function fewLines(text: string): string[] {
  const lines = stripControls(text).trimEnd().split('\n');
  const cut = lines.map((line) => (line.length > 400 ? `${line.slice(0, 400)}…` : line));
  if (cut.length <= MOST_LINES) return cut;
  const left = cut.length - MOST_LINES;
  return [...cut.slice(0, MOST_LINES - 6), `… ${left} lines more …`, ...cut.slice(-6)];
}
