// Owns: the patch language gpt-oss was trained on (`*** Begin Patch` … `*** End Patch`): reading it, and the text a file
// has after its hunks. Lines are looked for exactly, then without trailing space, then without space on both sides, then
// with typographic punctuation made plain; always forwards, so hunks never overlap.
// Refuses: anything it does not understand, with a PatchError that says which line. Touches no file.
// Next: patch-tool.ts, folder.node.ts.

export class PatchError extends Error {}

/** Lines to take out of a file and to put there instead. */
export interface Change {
  /** Index into `Hunk.old`. */
  readonly at: number;
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

export interface Hunk {
  /** Text after `@@`: a line that stands above the place; empty: none. */
  readonly header: string;
  /** Context and removed lines, as the file has them. */
  readonly old: readonly string[];
  readonly changes: readonly Change[];
  readonly isAtEnd: boolean;
}

export type FileChange =
  | { readonly type: 'add'; readonly path: string; readonly text: string }
  | { readonly type: 'delete'; readonly path: string }
  | { readonly type: 'update'; readonly path: string; readonly moveTo: string | null; readonly hunks: readonly Hunk[] };

const MOST_CHARACTERS = 4 * 2 ** 20;
const SECTION = /^\*\*\* (End Patch|Update File:|Delete File:|Add File:)/;

/** A patch out of what a model wrote: raw, as JSON with one text in it, in a fence, or behind a shell's here-document. */
export function patchIn(message: string): string {
  let text = message.trim();
  if (/^["{[]/.test(text)) {
    try {
      const value: unknown = JSON.parse(text);
      const inner = typeof value === 'object' && value !== null ? Object.values(value) : [value];
      const patches = inner.filter((each) => typeof each === 'string' && each.includes('*** Begin Patch'));
      if (patches.length === 1) text = (patches[0] as string).trim();
    } catch {
      // what follows says what is wrong with it
    }
  }
  if (text.startsWith('*** Begin Patch')) return text;
  const wrapped = /^[^\n]{0,80}\n(\*\*\* Begin Patch[\s\S]*?\n\*\*\* End Patch)[ \t\r]*\n[^\n]{0,80}$/.exec(text);
  return wrapped?.[1] ?? text;
}

export function parsePatch(text: string): FileChange[] {
  if (text.length > MOST_CHARACTERS) throw new PatchError(`The patch has more than ${MOST_CHARACTERS} characters.`);
  if (!text.startsWith('*** Begin Patch')) throw new PatchError('Patch text must start with *** Begin Patch');
  const lines = text.trimEnd().split(/\r?\n/);
  if (lines.length < 2 || lines.at(-1) !== '*** End Patch') {
    throw new PatchError('Invalid patch text - missing *** End Patch sentinel');
  }
  const changes: FileChange[] = [];
  const taken = new Map<string, string>();
  const take = (path: string, what: string): string => {
    const name = path
      .trim()
      .replace(/\/{2,}/g, '/')
      .replace(/^(\.\/)+/, '');
    if (name === '') throw new PatchError(`Missing path for ${what}`);
    if (taken.has(name)) throw new PatchError(`Duplicate ${what} for file: ${name}`);
    taken.set(name, what);
    return name;
  };
  let at = 1;
  while (lines[at] !== '*** End Patch') {
    const line = lines[at++]!;
    const [, verb, rest = ''] = /^\*\*\* (Update|Delete|Add) File:(.*)$/.exec(line) ?? [];
    if (verb === undefined) {
      if (line.trim() === '') continue;
      throw new PatchError(`Unknown line while parsing: ${line.slice(0, 200)}`);
    }
    if (verb === 'Delete') {
      changes.push({ type: 'delete', path: take(rest, 'delete') });
    } else if (verb === 'Add') {
      const added: string[] = [];
      const path = take(rest, 'add');
      for (; !SECTION.test(lines[at]!); at++) {
        if (!lines[at]!.startsWith('+')) {
          throw new PatchError(`Invalid Add File line (missing '+'): ${lines[at]!.slice(0, 200)}`);
        }
        added.push(lines[at]!.slice(1));
      }
      // A file of text ends with a line end, whether or not the patch spells it.
      const text = added.join('\n');
      changes.push({ type: 'add', path, text: text === '' || text.endsWith('\n') ? text : `${text}\n` });
    } else {
      const path = take(rest, 'update');
      const moved = /^\*\*\* Move to:(.*)$/.exec(lines[at]!);
      if (moved !== null) at++;
      const moveTo = moved === null ? null : take(moved[1]!, 'move');
      const hunks: Hunk[] = [];
      while (!SECTION.test(lines[at]!)) {
        const { hunk, next } = readHunk(lines, at, hunks.length === 0);
        hunks.push(hunk);
        at = next;
      }
      if (hunks.length === 0 && moveTo === null) throw new PatchError(`Nothing to update in file: ${path}`);
      changes.push({ type: 'update', path, moveTo, hunks });
    }
  }
  if (at !== lines.length - 1) throw new PatchError('Text after *** End Patch');
  if (changes.length === 0) throw new PatchError('The patch changes nothing.');
  return changes;
}

/** The first hunk of a file may leave its `@@` out. */
function readHunk(lines: readonly string[], start: number, isFirst: boolean): { hunk: Hunk; next: number } {
  let at = start;
  let header = '';
  const opening = /^@@(?: ?(.*))?$/.exec(lines[at]!);
  if (opening !== null) {
    header = (opening[1] ?? '').replace(/\s*@@\s*$/, '');
    if (/^-\d+(,\d+)? \+\d+/.test(header)) header = ''; // the line numbers of a unified diff say nothing here
    at++;
  } else if (!isFirst) throw new PatchError(`Invalid line in update section:\n${lines[at]!.slice(0, 200)}`);
  const old: string[] = [];
  const changes: Change[] = [];
  let removed: string[] = [];
  let added: string[] = [];
  const close = (): void => {
    if (removed.length > 0 || added.length > 0) changes.push({ at: old.length - removed.length, removed, added });
    removed = [];
    added = [];
  };
  const body = at;
  for (; ; at++) {
    const line = lines[at]!;
    if (line.startsWith('@@') || line === '***' || SECTION.test(line) || line === '*** End of File') break;
    const [mark, text] = line === '' ? [' ', ''] : [line[0], line.slice(1)];
    if (line.startsWith('***') || ![' ', '+', '-'].includes(mark!)) {
      throw new PatchError(`Invalid Line: ${line.slice(0, 200)}`);
    }
    if (mark === '+') added.push(text);
    else if (mark === '-') {
      if (added.length > 0) close();
      removed.push(text);
      old.push(text);
    } else {
      close();
      old.push(text);
    }
  }
  if (at === body && lines[at] !== '*** End of File') throw new PatchError('Nothing in this section');
  close();
  const isAtEnd = lines[at] === '*** End of File';
  const next = isAtEnd || lines[at] === '***' ? at + 1 : at;
  return { hunk: { header, old, changes, isAtEnd }, next };
}

/** A file's text with its hunks applied. `fuzz`: 0 when every line stood there as written. */
export function updatedText(text: string, hunks: readonly Hunk[], path: string): { text: string; fuzz: number } {
  const hasLastEnd = text.endsWith('\n') || text === '';
  const lines = text === '' ? [] : (hasLastEnd ? text.slice(0, -1) : text).split('\n');
  const isCrlf = lines.length > 0 && lines.filter((line) => line.endsWith('\r')).length * 2 > lines.length;
  const out: string[] = [];
  let done = 0; // lines of the file that are behind us
  let fuzz = 0;
  for (const { header, old, changes, isAtEnd } of hunks) {
    let from = done;
    if (header.trim() !== '') {
      const found = findLines(lines, [header], from);
      if (found !== null) {
        from = found.at + 1;
        fuzz += found.fuzz;
      }
    }
    const found = findOld(lines, old, from, isAtEnd) ?? (from === done ? null : findOld(lines, old, done, isAtEnd));
    if (found === null) {
      const context = old.slice(0, 20).join('\n').slice(0, 1000);
      throw new PatchError(`Invalid ${isAtEnd ? 'EOF ' : ''}context at line ${from + 1} of ${path}:\n${context}`);
    }
    fuzz += found.fuzz;
    const shift = shiftOf(old, lines.slice(found.at, found.at + found.length));
    for (const { at, removed, added } of changes) {
      const place = Math.min(found.at + at, found.at + found.length);
      out.push(...lines.slice(done, place));
      out.push(...added.map((line) => shifted(line, shift) + (isCrlf ? '\r' : '')));
      done = Math.min(place + removed.length, found.at + found.length);
    }
    out.push(...lines.slice(done, found.at + found.length));
    done = found.at + found.length;
  }
  out.push(...lines.slice(done));
  return { text: out.length === 0 ? '' : out.join('\n') + (hasLastEnd ? '\n' : ''), fuzz };
}

interface Found {
  readonly at: number;
  readonly length: number;
  readonly fuzz: number;
}

function findOld(lines: readonly string[], old: readonly string[], from: number, isAtEnd: boolean): Found | null {
  if (old.length === 0) return { at: isAtEnd || from === 0 ? (isAtEnd ? lines.length : 0) : from, length: 0, fuzz: 0 };
  const trials = old.at(-1) === '' ? [old, old.slice(0, -1)] : [old]; // an empty line before the next section
  for (const wanted of trials) {
    if (isAtEnd) {
      const found = findLines(lines, wanted, Math.max(from, lines.length - wanted.length));
      if (found !== null) return { ...found, length: wanted.length };
    }
    const found = findLines(lines, wanted, from);
    if (found !== null) return { at: found.at, length: wanted.length, fuzz: found.fuzz + (isAtEnd ? 10_000 : 0) };
  }
  return null;
}

const LEVELS: readonly { readonly fuzz: number; readonly form: (line: string) => string }[] = [
  { fuzz: 0, form: (line) => line.replace(/\r$/, '') },
  { fuzz: 1, form: (line) => line.trimEnd() },
  { fuzz: 100, form: (line) => line.trim() },
  { fuzz: 1000, form: (line) => plain(line).trim() },
];

function findLines(
  lines: readonly string[],
  wanted: readonly string[],
  from: number,
): { at: number; fuzz: number } | null {
  if (wanted.length === 0) return { at: from, fuzz: 0 };
  for (const { fuzz, form } of LEVELS) {
    const these = wanted.map(form);
    const those = lines.slice(from).map(form);
    for (let i = 0; i + these.length <= those.length; i++) {
      if (these.every((line, k) => those[i + k] === line)) return { at: from + i, fuzz };
    }
  }
  return null;
}

/** Typographic dashes, quotes and spaces as a keyboard has them. */
function plain(line: string): string {
  return line
    .replace(/[\u2010-\u2015\u2212]/g, '-')
    .replace(/[\u2018-\u201b\u2032]/g, "'")
    .replace(/[\u201c-\u201f\u2033]/g, '"')
    .replace(/[\u00a0\u2002-\u200a\u202f\u205f\u3000]/g, ' ')
    .replace(/\u2026/g, '...')
    .replace(/[\u200b\ufeff]/g, '');
}

/** How the file's indentation differs from the patch's when it does so in the same way everywhere. */
interface Shift {
  readonly from: string;
  readonly to: string;
}

const indentOf = (line: string): string => /^[ \t]*/.exec(line)![0];

function shiftOf(old: readonly string[], actual: readonly string[]): Shift | null {
  let shift: Shift | null = null;
  for (const [i, line] of actual.entries()) {
    if (line.trim() === '') continue;
    const [wrote, has] = [indentOf(old[i]!), indentOf(line)];
    if (shift === null) {
      if (wrote === has) return null;
      // The shorter of both is what all lines of the passage share.
      shift = { from: wrote, to: has };
    }
    if (!wrote.startsWith(shift.from) || has !== shift.to + wrote.slice(shift.from.length)) return null;
  }
  return shift;
}

function shifted(line: string, shift: Shift | null): string {
  if (shift === null || line.trim() === '' || !line.startsWith(shift.from)) return line;
  return shift.to + line.slice(shift.from.length);
}
