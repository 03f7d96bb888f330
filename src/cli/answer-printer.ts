// Puts an answer on the screen while it is being written: reasoning dimmed on stderr, the answer on stdout. On a
// terminal the answer is laid out from Markdown; anywhere else it goes out as it is, so that it can be piped.
// Everything from the model passes ControlStripper first. Painting is held to 30 times a second: a tiny model writes
// thousands of tokens a second, and the cores are needed for them.

import { ControlStripper } from './screen/controls.ts';
import { LiveText } from './screen/live.ts';
import { MarkdownStream } from './screen/markdown-stream.ts';
import { styled, type Terminal } from './terminal.ts';

const PAINT_MS = 33;

export interface PrinterOptions {
  readonly showReasoning: boolean;
}

export class AnswerPrinter {
  readonly #terminal: Terminal;
  readonly #options: PrinterOptions;
  readonly #reasoningControls = new ControlStripper();
  readonly #textControls = new ControlStripper();
  readonly #markdown: MarkdownStream;
  readonly #live: LiveText;
  #phase: 'start' | 'reasoning' | 'text' = 'start';
  #endsLine = true; // of what was written last, on either stream
  #waiting = ''; // text not painted yet
  #timer: ReturnType<typeof setTimeout> | null = null;
  #lastPaint = 0;
  #isWaiting = false;

  constructor(terminal: Terminal, options: PrinterOptions) {
    this.#terminal = terminal;
    this.#options = options;
    this.#markdown = new MarkdownStream(() => Math.max(20, terminal.out.columns - 1));
    this.#live = new LiveText(terminal.out);
  }

  /** Says on a terminal that something is going on, until there is something to show. */
  wait(): void {
    const { err } = this.#terminal;
    if (!err.isTerminal) return;
    err.write(styled(err, '…', 'dim'));
    this.#isWaiting = true;
  }

  reasoning(piece: string): void {
    if (!this.#options.showReasoning) return;
    const text = this.#reasoningControls.push(piece);
    if (text === '') return;
    this.#enter('reasoning');
    this.#terminal.err.write(styled(this.#terminal.err, text, 'dim'));
    this.#endsLine = text.endsWith('\n');
  }

  text(piece: string): void {
    this.#put(this.#textControls.push(piece));
  }

  /** Writes what is still held and ends the line on a terminal. A pipe gets exactly the answer and one line feed. */
  end(): void {
    this.#stopWaiting();
    const rest = this.#reasoningControls.end();
    if (rest !== '' && this.#options.showReasoning) this.#terminal.err.write(styled(this.#terminal.err, rest, 'dim'));
    this.#put(this.#textControls.end());
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#phase === 'reasoning') this.#endReasoning();
    else if (this.#phase === 'text') {
      if (this.#terminal.out.isTerminal) {
        this.#paint();
        this.#live.update(this.#markdown.end(), []);
        this.#live.end();
      } else if (!this.#endsLine) this.#terminal.out.write('\n');
    }
    this.#phase = 'start';
  }

  #put(text: string): void {
    if (text === '') return;
    this.#enter('text');
    if (!this.#terminal.out.isTerminal) {
      this.#terminal.out.write(text);
      this.#endsLine = text.endsWith('\n');
      return;
    }
    this.#waiting += text;
    if (this.#timer !== null) return;
    const due = this.#lastPaint + PAINT_MS - performance.now();
    if (due <= 0) this.#paint();
    else this.#timer = setTimeout(() => this.#paint(), due);
  }

  #paint(): void {
    this.#timer = null;
    const { closed, open } = this.#markdown.push(this.#waiting);
    this.#waiting = '';
    this.#live.update(closed, open);
    this.#lastPaint = performance.now();
  }

  #enter(phase: 'reasoning' | 'text'): void {
    if (this.#phase === phase) return;
    this.#stopWaiting();
    if (this.#phase === 'reasoning') this.#endReasoning();
    this.#phase = phase;
    this.#endsLine = true;
  }

  #stopWaiting(): void {
    if (this.#isWaiting) this.#terminal.err.write('\r\x1b[K');
    this.#isWaiting = false;
  }

  #endReasoning(): void {
    this.#terminal.err.write(this.#endsLine ? '\n' : '\n\n');
  }
}
