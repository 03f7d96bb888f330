// Owns: the arguments of a call as they stream to a client. What was sent cannot be taken back, so only text that is
// certain to be the beginning of one JSON object goes out early: raw line ends in strings are escaped, and nothing is sent
// after the closing brace. Arguments that begin in any other way wait for their end, where `callArguments` makes the best
// of them. Next: generation.ts.

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' };

export class ArgumentText {
  #sent = '';
  #depth = 0;
  #isString = false;
  #isEscape = false;
  /** undecided: nothing but white space so far. */
  #state: 'undecided' | 'object' | 'closed' | 'waits' = 'undecided';

  /** Takes more of what the model wrote; returns what may be sent. */
  push(text: string): string {
    let out = '';
    for (let i = 0; i < text.length; i++) {
      const c = text[i]!;
      if (this.#state === 'undecided' && !/\s/.test(c)) this.#state = c === '{' ? 'object' : 'waits';
      if (this.#state === 'object') out += this.#take(c);
    }
    this.#sent += out;
    return out;
  }

  /** The call is over, and `whole` is what its arguments were read as. Returns what is still to be sent. */
  finish(whole: string): string {
    if (this.#state === 'object' || this.#state === 'closed') return '';
    this.#sent = whole;
    return whole;
  }

  /** All that was sent: the arguments as the client has them. */
  get text(): string {
    return this.#sent;
  }

  #take(c: string): string {
    if (this.#isString) {
      if (this.#isEscape) this.#isEscape = false;
      else if (c === '\\') this.#isEscape = true;
      else if (c === '"') this.#isString = false;
      else if (c < ' ') return escapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
      return c;
    }
    if (c === '"') this.#isString = true;
    else if (c === '{') this.#depth++;
    else if (c === '}' && --this.#depth === 0) this.#state = 'closed';
    return c;
  }
}
