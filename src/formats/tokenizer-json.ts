// Takes a tokenizer.json apart without building its two huge parts as objects: the published file has a vocabulary of
// 199,998 keys and 446,189 merges in 28 MB, and JSON.parse with Object.entries takes over half a second for what a scan
// of the bytes finds in a few dozen milliseconds. The scan knows only the plain shape that every writer produces; for
// anything else it says so, and the caller lets JSON.parse judge the whole file.

export interface TokenizerJsonParts {
  /** The document with an empty `vocab` and empty `merges`. */
  readonly rest: Uint8Array;
  /** The merges, a JSON list. */
  readonly merges: Uint8Array;
}

/** Called for each word in file order: the place of its text between the quotes, whether that holds a backslash, and the
 *  id. May throw. */
export type OnWord = (start: number, end: number, escaped: boolean, id: number) => void;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const isSpace = (b: number): boolean => b === 0x20 || b === 0x0a || b === 0x0d || b === 0x09;

/** Null when the file has another shape than the usual one; words that were reported until then mean nothing. */
export function takeApart(bytes: Uint8Array, onWord: OnWord): TokenizerJsonParts | null {
  const vocabAt = onlyValue(bytes, '"vocab"', 0x7b);
  const mergesAt = onlyValue(bytes, '"merges"', 0x5b);
  if (vocabAt === null || mergesAt === null) return null;
  const vocabEnd = scanWords(bytes, vocabAt, onWord);
  const mergesEnd = listEnd(bytes, mergesAt);
  if (vocabEnd === null || mergesEnd === null) return null;
  if (vocabAt < mergesAt ? vocabEnd > mergesAt : mergesEnd > vocabAt) return null; // one inside the other
  const cuts = [
    [vocabAt + 1, vocabEnd - 1],
    [mergesAt + 1, mergesEnd - 1],
  ].sort((a, b) => a[0] - b[0]);
  const pieces = [bytes.subarray(0, cuts[0][0]), bytes.subarray(cuts[0][1], cuts[1][0]), bytes.subarray(cuts[1][1])];
  const rest = new Uint8Array(pieces.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const piece of pieces) {
    rest.set(piece, at);
    at += piece.length;
  }
  return { rest, merges: bytes.subarray(mergesAt, mergesEnd) };
}

/** Where the value of the only `key` that is followed by a colon and `opening` begins. Inside a JSON string the quotes of
 *  `key` would be escaped, so what is found is a key. */
function onlyValue(bytes: Uint8Array, key: string, opening: number): number | null {
  const pattern = new TextEncoder().encode(key);
  let found: number | null = null;
  for (let at = find(bytes, pattern, 0); at >= 0; at = find(bytes, pattern, at + 1)) {
    let i = at + pattern.length;
    while (isSpace(bytes[i])) i++;
    if (bytes[i++] !== COLON) continue;
    while (isSpace(bytes[i])) i++;
    if (bytes[i] !== opening) continue;
    if (found !== null) return null;
    found = i;
  }
  return found;
}

function find(bytes: Uint8Array, pattern: Uint8Array, from: number): number {
  // The second byte of a key is rarer than its quote.
  for (let i = bytes.indexOf(pattern[1], from + 1); i >= 0; i = bytes.indexOf(pattern[1], i + 1)) {
    let n = 0;
    while (n < pattern.length && bytes[i - 1 + n] === pattern[n]) n++;
    if (n === pattern.length) return i - 1;
  }
  return -1;
}

/** Reads {"text": id, …}; returns the place after the closing brace. */
function scanWords(bytes: Uint8Array, at: number, onWord: OnWord): number | null {
  let i = at + 1;
  for (;;) {
    while (isSpace(bytes[i])) i++;
    if (bytes[i++] !== QUOTE) return null;
    const start = i;
    let escaped = false;
    for (;;) {
      const b = bytes[i];
      if (b === QUOTE) break;
      if (b === undefined || b < 0x20) return null;
      if (b === BACKSLASH) {
        escaped = true;
        i++;
      }
      i++;
    }
    const end = i++;
    while (isSpace(bytes[i])) i++;
    if (bytes[i++] !== COLON) return null;
    while (isSpace(bytes[i])) i++;
    let id = 0;
    const digits = i;
    for (let d = bytes[i] - 0x30; d >= 0 && d <= 9; d = bytes[++i] - 0x30) id = id * 10 + d;
    if (i === digits || i - digits > 9) return null;
    while (isSpace(bytes[i])) i++;
    const next = bytes[i++];
    if (next !== COMMA && next !== 0x7d) return null;
    onWord(start, end, escaped, id);
    if (next !== COMMA) return i;
  }
}

/** The place after the bracket that closes the list at `at`. */
function listEnd(bytes: Uint8Array, at: number): number | null {
  let depth = 0;
  let inText = false;
  for (let i = at; i < bytes.length; i++) {
    const b = bytes[i];
    if (inText) {
      if (b === BACKSLASH) i++;
      else if (b === QUOTE) inText = false;
    } else if (b === QUOTE) inText = true;
    else if (b === 0x5b) depth++;
    else if (b === 0x5d && --depth === 0) return i + 1;
  }
  return null;
}
