// Where output goes: answers and data to `out`, everything else to `err`. Decides once for each of the two what it can
// do (colour, moving the cursor, neither). Commands write only through this, so tests hand in two string collectors.
// A reader that goes away (`gptoss … | head`) is no error: writing then quietly does nothing and `onClosed` is told.

import type { Environment } from './environment.ts';
import { paint, type Style } from './screen/style.ts';

export interface Output {
  write(text: string): void;
  /** A terminal whose cursor can be moved. */
  readonly isTerminal: boolean;
  readonly colour: boolean;
  readonly columns: number;
  readonly rows: number;
}

export interface Terminal {
  readonly out: Output;
  readonly err: Output;
}

class StreamOutput implements Output {
  readonly #stream: NodeJS.WriteStream;
  readonly isTerminal: boolean;
  readonly colour: boolean;
  #closed = false;

  constructor(stream: NodeJS.WriteStream, environment: Environment, onClosed: () => void) {
    this.#stream = stream;
    this.isTerminal = stream.isTTY === true && !environment.dumb;
    this.colour = this.isTerminal && !environment.noColour;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#closed = true;
      if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED' || error.code === 'EIO') onClosed();
      else throw error;
    });
  }

  write(text: string): void {
    if (!this.#closed && text !== '') this.#stream.write(text);
  }

  get columns(): number {
    return this.#stream.columns || 80;
  }

  get rows(): number {
    return this.#stream.rows || 24;
  }
}

export function processTerminal(environment: Environment, onClosed: () => void): Terminal {
  return {
    out: new StreamOutput(process.stdout, environment, onClosed),
    err: new StreamOutput(process.stderr, environment, () => {}),
  };
}

/** Text in a style, where the output can show it. */
export function styled(output: Output, text: string, ...styles: Style[]): string {
  return paint([{ text, styles }], output.colour);
}
