// Lines as they are typed -> whole messages. A message goes on after a line that ends with a backslash, between ```
// fences, and for as long as the terminal says that text is being pasted. Knows nothing of terminals. Next: chat.ts.

export class MessageLines {
  #lines: string[] = [];
  #fenced = false;
  #pasting = false;
  /** The last line has a backslash at its end, or was pasted: it is not finished. */
  #goesOn = false;

  /** Something was typed that is not a message yet. */
  get isOpen(): boolean {
    return this.#lines.length > 0;
  }

  set pasting(now: boolean) {
    this.#pasting = now;
  }

  /** The message that this line completes, or null when it goes on. */
  push(line: string): string | null {
    if (/^\s*```/.test(line)) this.#fenced = !this.#fenced;
    const continued = !this.#fenced && /(^|[^\\])\\$/.test(line);
    this.#goesOn = continued || this.#fenced || this.#pasting;
    this.#lines.push(continued ? line.slice(0, -1) : line);
    return this.#goesOn ? null : this.take();
  }

  /** What there is, finished or not. */
  take(): string {
    const message = this.#lines.join('\n');
    this.clear();
    return message;
  }

  clear(): void {
    this.#lines = [];
    this.#fenced = false;
    this.#goesOn = false;
  }
}
