// The keyboard of a chat: line editing and history by node:readline, several lines by MessageLines. While an answer is
// being written nothing that is typed is echoed into it; it waits and appears with the next prompt. Ctrl-C goes to
// `onInterrupt` while an answer runs; at the prompt it clears the line, and on an empty one leaves at the second time.

import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { type Output, styled } from '../terminal.ts';
import { MessageLines } from './message-lines.ts';

const PASTE_ON = '\x1b[?2004h'; // the terminal marks what is pasted
const PASTE_OFF = '\x1b[?2004l';

export class ChatInput {
  readonly #input: NodeJS.ReadStream;
  readonly #screen: Output;
  readonly #isInteractive: boolean;
  readonly #readline: Interface;
  readonly #lines = new MessageLines();
  readonly #ready: string[] = [];
  readonly #onInterrupt: () => void;
  readonly #atExit = (): void => this.#screen.write(PASTE_OFF);
  #waiting: ((message: string | null) => void) | null = null;
  #ended = false;
  #mayLeave = false; // Ctrl-C was just pressed at an empty prompt

  constructor(input: NodeJS.ReadStream, screen: Output, onInterrupt: () => void) {
    this.#input = input;
    this.#screen = screen;
    this.#onInterrupt = onInterrupt;
    this.#isInteractive = input.isTTY === true && screen.isTerminal;
    this.#readline = createInterface({
      input,
      output: this.#echo(),
      terminal: this.#isInteractive,
      historySize: this.#isInteractive ? 500 : 0,
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    this.#readline.on('line', (line) => this.#take(line));
    this.#readline.on('close', () => this.#end());
    if (!this.#isInteractive) return;
    this.#readline.on('SIGINT', () => this.#interrupted());
    input.on('keypress', this.#onKey);
    process.on('exit', this.#atExit);
    screen.write(PASTE_ON);
  }

  /** The next whole message; null at the end of input. */
  next(): Promise<string | null> {
    const ready = this.#ready.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#ended) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#prompt();
    });
  }

  close(): void {
    this.#readline.close();
  }

  /** What readline writes reaches the screen only while a message is asked for. */
  #echo(): Writable {
    const stream = new Writable({
      decodeStrings: false,
      write: (chunk: string, _encoding, done) => {
        if (this.#isInteractive && this.#waiting !== null) this.#screen.write(String(chunk));
        done();
      },
    });
    const screen = this.#screen;
    Object.defineProperties(stream, { columns: { get: () => screen.columns }, rows: { get: () => screen.rows } });
    return stream;
  }

  readonly #onKey = (_text: string | undefined, key: { name?: string }): void => {
    if (key.name === 'paste-start') this.#lines.pasting = true;
    else if (key.name === 'paste-end') this.#lines.pasting = false;
  };

  #take(line: string): void {
    this.#mayLeave = false;
    const message = this.#lines.push(line);
    if (message === null) {
      if (this.#waiting !== null) this.#prompt();
      return;
    }
    this.#give(message);
  }

  #give(message: string): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) waiting(message);
    else this.#ready.push(message);
  }

  #prompt(): void {
    if (!this.#isInteractive) return;
    this.#readline.setPrompt(styled(this.#screen, this.#lines.isOpen ? '… ' : '> ', 'bold', 'green'));
    this.#readline.prompt(true);
  }

  #interrupted(): void {
    if (this.#waiting === null) {
      this.#onInterrupt();
      return;
    }
    if (this.#lines.isOpen || this.#readline.line !== '') {
      this.#lines.clear();
      this.#screen.write('^C\n');
      this.#readline.write(null, { ctrl: true, name: 'e' });
      this.#readline.write(null, { ctrl: true, name: 'u' });
      this.#prompt();
    } else if (this.#mayLeave) this.#readline.close();
    else {
      this.#mayLeave = true;
      this.#screen.write(`\n${styled(this.#screen, 'Ctrl-C again or /quit to leave', 'dim')}\n`);
      this.#prompt();
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#isInteractive) {
      this.#input.off('keypress', this.#onKey);
      process.off('exit', this.#atExit);
      this.#screen.write(`${this.#waiting === null ? '' : '\n'}${PASTE_OFF}`);
    }
    if (this.#lines.isOpen) this.#give(this.#lines.take());
    else if (this.#waiting !== null) {
      this.#waiting(null);
      this.#waiting = null;
    }
  }
}
