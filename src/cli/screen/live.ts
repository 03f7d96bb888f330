// The end of a terminal's text that may still change: lines that are final are written once, open ones are written
// over in place when they change, from the first line that differs; a line that only grows is only appended to. Each
// update is one write, so nothing flickers. Never reaches above the screen's top: what stands there cannot be corrected.

import { type Line, lineWidth } from './markdown.ts';
import { paint } from './style.ts';

export interface Screen {
  write(text: string): void;
  readonly columns: number;
  readonly rows: number;
  readonly colour: boolean;
}

interface Painted {
  readonly text: string;
  readonly width: number;
}

export class LiveText {
  readonly #screen: Screen;
  /** Open lines as they stand on the screen. The cursor is behind the last one, or on an empty row below (#onNewRow). */
  #painted: Painted[] = [];
  /** Lines of the open piece that have scrolled out of reach. */
  #frozen = 0;
  #onNewRow = true;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  update(closed: readonly Line[], open: readonly Line[]): void {
    const lines = [...closed, ...open]
      .slice(this.#frozen)
      .map((line) => ({ text: paint(line, this.#screen.colour), width: lineWidth(line) }));
    const before = this.#painted;
    let same = 0;
    while (same < before.length && same < lines.length && before[same]!.text === lines[same]!.text) same++;
    if (same === before.length && same === lines.length) {
      this.#keep(lines, closed.length);
      return;
    }
    const changed = lines.slice(same);
    const text = changed.map((line) => line.text).join('\n');
    const old = before[same];
    if (old === undefined) this.#screen.write(this.#onNewRow ? text : `\n${text}`);
    else if (same === before.length - 1 && !this.#onNewRow && text.startsWith(old.text)) {
      this.#screen.write(text.slice(old.text.length));
    } else {
      const rows = before.slice(same).reduce((sum, line) => sum + this.#rowsOf(line), 0);
      const up = rows - (this.#onNewRow ? 0 : 1);
      // 2026: terminals that know it show the whole update at once.
      this.#screen.write(`\x1b[?2026h\r${up > 0 ? `\x1b[${up}A` : ''}\x1b[0J${text}\x1b[?2026l`);
    }
    this.#onNewRow = changed.length === 0;
    this.#keep(lines, closed.length);
  }

  /** Ends the last line. */
  end(): void {
    if (!this.#onNewRow) this.#screen.write('\n');
    this.#painted = [];
    this.#frozen = 0;
    this.#onNewRow = true;
  }

  #keep(lines: readonly Painted[], closedCount: number): void {
    const newlyClosed = Math.max(0, closedCount - this.#frozen);
    this.#frozen = Math.max(0, this.#frozen - closedCount);
    this.#painted = lines.slice(newlyClosed);
    // What stands above the screen's top stays as it is.
    let rows = 0;
    let reachable = this.#painted.length;
    while (reachable > 0) {
      rows += this.#rowsOf(this.#painted[reachable - 1]!);
      if (rows >= this.#screen.rows) break;
      reachable--;
    }
    this.#frozen += reachable;
    this.#painted = this.#painted.slice(reachable);
  }

  #rowsOf(line: Painted): number {
    return Math.max(1, Math.ceil(line.width / Math.max(1, this.#screen.columns)));
  }
}
