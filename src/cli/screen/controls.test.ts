import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ControlStripper, safeJson, stripControls } from './controls.ts';

const hostile: [string, string][] = [
  ['\x1b[31mred\x1b[0m', 'red'],
  ['\x1b[2J\x1b[Hgone', 'gone'],
  ['\x1b]0;title\x07after', 'after'],
  ['\x1b]52;c;aGk=\x1b\\after', 'after'],
  ['\x9b31mred', 'red'],
  ['\x9d0;title\x9cafter', 'after'],
  ['\x1bPq#0\x1b\\six', 'six'],
  ['\x1b(0line', 'line'],
  ['\x1bcreset', 'reset'],
  ['a\rb\bc\x07d\x7fe\x00f', 'abcdef'],
  ['one\r\ntwo\tthree', 'one\ntwo\tthree'],
  ['\x1b]never ended, text stays', ']never ended, text stays'],
  ['日本語 👩‍👩‍👧 ok', '日本語 👩‍👩‍👧 ok'],
];

describe('stripControls', () => {
  it.each(hostile)('%j becomes %j', (from, to) => {
    expect(stripControls(from)).toBe(to);
  });
});

describe('ControlStripper', () => {
  it.each(hostile)('%j becomes %j one character at a time', (from, to) => {
    const stripper = new ControlStripper();
    let text = '';
    for (const character of from.split('')) text += stripper.push(character);
    expect(text + stripper.end()).toBe(to);
  });

  it('lets no control character through, however the text is cut', () => {
    const nasty = fc.string({
      unit: fc.constantFrom('\x1b', '[', ']', '3', ';', 'm', '\x07', '\x9b', '\\', 'a', '\n', '\r', '\x9c'),
    });
    fc.assert(
      fc.property(fc.array(nasty), (pieces) => {
        const stripper = new ControlStripper();
        const text = pieces.map((piece) => stripper.push(piece)).join('') + stripper.end();
        expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
      }),
    );
  });

  it('never holds ordinary text back', () => {
    const stripper = new ControlStripper();
    expect(stripper.push('plain [text] ')).toBe('plain [text] ');
  });
});

describe('safeJson', () => {
  it('keeps every character, as an escape where a terminal would obey it', () => {
    const value = { text: '\x1b[31m \x9b31m \x7f é 日' };
    expect(safeJson(value)).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    expect(JSON.parse(safeJson(value))).toEqual(value);
  });
});
