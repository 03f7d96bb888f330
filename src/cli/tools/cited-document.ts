// Owns: a page that an answer cites, as text for a terminal: the lines that are cited with some around them, in their own
// numbers. The page is not ours: what a terminal would obey is taken out. Next: chat/chat.ts (`/source`).

import type { CitedDocument } from '../../server/hosted-tools.ts';
import { stripControls } from '../screen/controls.ts';
import { type Output, styled } from '../terminal.ts';

const AROUND = 4;
const MOST = 60;

export function documentText({ title, lines, url: address }: CitedDocument, url: string, output: Output): string {
  const [, first = '0', last = first] = /#L(\d+)(?:-L(\d+))?$/.exec(url) ?? [];
  const [from, to] = [Number(first), Number(last)];
  const isCited = url.includes('#L');
  const start = Math.max(0, Math.min(from, lines.length - 1) - AROUND);
  const end = Math.min(lines.length, start + MOST, isCited ? to + AROUND + 1 : lines.length);
  const width = String(end).length;
  const shown = lines.slice(start, end).map((line, i) => {
    const at = start + i;
    const text = `${String(at).padStart(width)}  ${stripControls(line)}`;
    return isCited && at >= from && at <= to ? styled(output, text, 'bold') : styled(output, text, 'dim');
  });
  const head = styled(output, `${stripControls(title)} · ${stripControls(address)}`, 'bold');
  const rest = end < lines.length ? [styled(output, `… ${lines.length - end} lines more …`, 'dim')] : [];
  return [head, ...shown, ...rest].join('\n');
}
