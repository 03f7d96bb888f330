// What a model, a file or a checkpoint says is not to be trusted with a terminal: escape sequences can rewrite the
// screen, the window title or the clipboard. Everything of foreign origin passes through here before it is printed.
// Line feed and tab stay; escape sequences go as a whole; every other control character goes alone.
// JSON output loses nothing: `safeJson` writes those characters as \u escapes instead.

const CSI = '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]';
// Operating-system commands, device control and the other strings; bounded, so that no text can hide a whole answer.
const STRING_START = '(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d\\x9e\\x9f])';
const STRING = `${STRING_START}[^\\x07\\x1b\\x9c\\n]{0,4096}(?:\\x07|\\x1b\\\\|\\x9c)`;
const TWO_BYTE = '\\x1b[ -/]*[0-Z\\\\`-~]';
const COMPLETE = new RegExp(`${CSI}|${STRING}|${TWO_BYTE}`, 'g');
const UNFINISHED = new RegExp(
  `(?:(?:\\x1b\\[|\\x9b)[0-?]{0,64}[ -/]{0,8}|${STRING_START}[^\\x07\\x1b\\x9c\\n]{0,4096}\\x1b?|\\x1b[ -/]{0,8})$`,
);
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Text that is complete. */
export function stripControls(text: string): string {
  return text.replace(COMPLETE, '').replace(CONTROL, '');
}

/** Text that comes in pieces: an escape sequence may begin in one and end in the next. One instance per stream. */
export class ControlStripper {
  #held = '';

  push(piece: string): string {
    const text = this.#held + piece;
    const unfinished = UNFINISHED.exec(text);
    this.#held = unfinished?.[0] ?? '';
    return stripControls(unfinished ? text.slice(0, unfinished.index) : text);
  }

  end(): string {
    const rest = stripControls(this.#held);
    this.#held = '';
    return rest;
  }
}

/** JSON that no terminal obeys: JSON.stringify leaves DEL and the C1 controls as they are. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\x7f-\x9f]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}
