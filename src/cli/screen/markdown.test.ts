import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LiveText } from './live.ts';
import { type Line, lineWidth } from './markdown.ts';
import { MarkdownStream } from './markdown-stream.ts';
import { paint, textWidth, wrap } from './style.ts';

const WIDTH = 30;

function render(source: string, width = WIDTH): string[] {
  const stream = new MarkdownStream(() => width);
  const { closed } = stream.push(source);
  return [...closed, ...stream.end()].map(text);
}

const text = (line: Line): string => paint(line, false);

/** A terminal just good enough: printing with deferred wrapping, line feed, return, cursor up, erase below. */
function terminal(columns: number, rows: number) {
  const lines: string[] = [''];
  let row = 0;
  let column = 0;
  let writes = 0;
  const put = (character: string): void => {
    if (column >= columns) {
      row++;
      column = 0;
    }
    while (lines.length <= row) lines.push('');
    lines[row] = lines[row]!.padEnd(column).slice(0, column) + character + lines[row]!.slice(column + 1);
    column++;
  };
  return {
    columns,
    rows,
    colour: true,
    write(out: string): void {
      writes++;
      for (const [part, code] of out.matchAll(/\x1b\[(\??[\d;]*[A-Za-z])|[\s\S]/g)) {
        if (code === '0J') {
          lines[row] = (lines[row] ?? '').slice(0, column);
          lines.length = row + 1;
        } else if (code?.endsWith('A')) {
          row -= Number.parseInt(code, 10);
          if (row < Math.max(0, lines.length - rows)) throw new Error('moved above the screen');
        } else if (code !== undefined) continue;
        else if (part === '\r') column = 0;
        else if (part === '\n') {
          row++;
          column = 0;
          while (lines.length <= row) lines.push('');
        } else put(part);
      }
    },
    text: () => lines.map((line) => line.trimEnd()).join('\n'),
    writes: () => writes,
  };
}

const SAMPLE = `# Title

Some **bold text** and *italic* and \`code\`, with a [link](http://x.example) that is long.
Second line.

- one
- two with **more**
  - nested
1. first
2. second

> quoted *text* here

\`\`\`ts
const x = 1; // ** not bold **

done();
\`\`\`

| a | b |
|---|--:|
| 1 | 22 |

---

The end &lt; 3 <br> <b>html</b> ![alt](u.png)
`;

describe('Markdown on a terminal', () => {
  it('is laid out in lines', () => {
    expect(render(SAMPLE, 60)).toEqual([
      'Title',
      '',
      'Some bold text and italic and code, with a link',
      '(http://x.example) that is long.',
      'Second line.',
      '',
      '• one',
      '• two with more',
      '  • nested',
      '1. first',
      '2. second',
      '',
      '│ quoted text here',
      '',
      'const x = 1; // ** not bold **',
      '',
      'done();',
      '',
      'a │  b',
      '──┼───',
      '1 │ 22',
      '',
      '────────────────────────────────────────',
      '',
      'The end < 3 ',
      ' <b>html</b> [image: alt] (u.png)',
    ]);
  });

  it('marks emphasis with escape codes, closed on the same line', () => {
    const [line] = new MarkdownStream(() => 40).push('a **b** c\n').open;
    expect(paint(line!, true)).toBe('a \x1b[1mb\x1b[22m c');
  });

  it('shows where a link leads and leaves unknown markup as it is', () => {
    expect(render('[bank](http://evil.example) <script>x</script> [r]\n\n[d]: http://y')).toEqual([
      'bank (http://evil.example)',
      '<script>x</script> [r]',
      '',
      '[d]: http://y',
    ]);
  });

  it('closes every finished line of a code fence at once, and never the fence itself', () => {
    const stream = new MarkdownStream(() => 40);
    expect(stream.push('```py\nprint(1)\npri').closed.map(text)).toEqual(['print(1)']);
    expect(stream.push('nt(2)\n``').open.map(text)).toEqual([]);
    expect(stream.push('`\nafter').open.map(text)).toEqual(['after']);
  });

  it('keeps a list item that is still open changeable, and closes it once something else follows', () => {
    const stream = new MarkdownStream(() => 40);
    expect(stream.push('- a\n- b').closed).toEqual([]);
    expect(stream.push('\n\n').closed).toEqual([]);
    expect(stream.push('next').closed.map(text)).toEqual(['• a', '• b']);
  });

  it('stays fast and loses nothing on text made to break parsers', () => {
    for (const source of [
      '>'.repeat(50_000),
      '['.repeat(50_000),
      '* '.repeat(20_000),
      'a'.repeat(50_000),
      '- '.repeat(300),
    ]) {
      const shown = render(source).join('').replace(/\s/g, '');
      expect(shown.length).toBeGreaterThanOrEqual(Math.min(source.replace(/\s/g, '').length, 299));
    }
  });
});

describe('LiveText', () => {
  const stream = (source: string, cuts: readonly number[], columns: number, rows: number) => {
    const screen = terminal(columns, rows);
    const live = new LiveText(screen);
    const markdown = new MarkdownStream(() => columns - 1);
    const places = [0, ...[...cuts].sort((a, b) => a - b), source.length];
    for (let i = 0; i + 1 < places.length; i++) {
      const { closed, open } = markdown.push(source.slice(places[i], places[i + 1]));
      live.update(closed, open);
    }
    live.update(markdown.end(), []);
    live.end();
    return screen;
  };

  it('shows at the end what a single write would have shown, however the text was cut', () => {
    const whole = stream(SAMPLE, [], WIDTH, 40).text();
    fc.assert(
      fc.property(fc.array(fc.nat(SAMPLE.length), { maxLength: 400 }), (cuts) => {
        expect(stream(SAMPLE, cuts, WIDTH, 40).text()).toBe(whole);
      }),
      { numRuns: 60 },
    );
    expect(
      stream(
        SAMPLE,
        Array.from(SAMPLE, (_, i) => i),
        WIDTH,
        40,
      ).text(),
    ).toBe(whole);
  });

  it('never moves above the top of a small screen', () => {
    const long = Array.from({ length: 40 }, (_, i) => `- item ${i} **bold**`).join('\n');
    const cuts = Array.from({ length: long.length }, (_, i) => i);
    const shown = stream(long, cuts, 20, 6).text();
    for (let i = 0; i < 40; i++) expect(shown).toContain(`• item ${i} `);
  });

  it('only appends while a plain paragraph grows', () => {
    const screen = terminal(80, 24);
    const out: string[] = [];
    const live = new LiveText({ ...screen, write: (part) => out.push(part) });
    const markdown = new MarkdownStream(() => 79);
    for (const word of ['Hello', ' there', ', how', ' are', ' you?']) {
      const { closed, open } = markdown.push(word);
      live.update(closed, open);
    }
    expect(out.join('')).toBe('Hello there, how are you?');
  });
});

describe('wrapping', () => {
  it('counts wide characters twice, combining ones not at all', () => {
    expect(textWidth('abc')).toBe(3);
    expect(textWidth('日本語')).toBe(6);
    expect(textWidth('e\u0301')).toBe(1);
    expect(textWidth('👩‍👩‍👧')).toBe(2);
    expect(textWidth('ｱｲｳ')).toBe(3);
  });

  it('breaks Japanese between characters, but not before closing punctuation', () => {
    const lines = wrap([{ text: '今日は良い天気です。散歩します。', styles: [] }], 18).map(text);
    expect(lines).toEqual(['今日は良い天気で', 'す。散歩します。']);
  });

  it('never makes a line wider than asked and loses nothing but spaces at breaks', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.integer({ min: 2, max: 20 }), (source, width) => {
        const clean = source.replace(/[\p{C}\n\t]/gu, '');
        const lines = wrap([{ text: clean, styles: [] }], width);
        for (const line of lines) expect(lineWidth(line)).toBeLessThanOrEqual(Math.max(width, 2) + 2);
        expect(lines.map(text).join('').replaceAll(' ', '')).toBe(clean.replaceAll(' ', ''));
      }),
    );
  });
});
