import { describe, expect, it } from 'vitest';
import { AnswerPrinter } from './answer-printer.ts';

function screen(isTerminal: boolean) {
  const log: string[] = [];
  const output = (name: string) => ({
    write: (text: string) => log.push(`${name} ${JSON.stringify(text)}`),
    isTerminal,
    colour: isTerminal,
    columns: 40,
    rows: 10,
  });
  return { log, terminal: { out: output('out'), err: output('err') } };
}

describe('an answer', () => {
  it('on a terminal: reasoning dimmed, an empty line, then Markdown laid out', () => {
    const { log, terminal } = screen(true);
    const printer = new AnswerPrinter(terminal, { showReasoning: true });
    printer.reasoning('Hm');
    printer.reasoning('…');
    printer.text('So **bold');
    printer.text('** it is.');
    printer.end();
    expect(log.slice(0, 3)).toEqual(['err "\\u001b[2mHm\\u001b[22m"', 'err "\\u001b[2m…\\u001b[22m"', 'err "\\n\\n"']);
    expect(log.slice(3).join('')).toContain('So \\u001b[1mbold\\u001b[22m it is.');
    expect(log.at(-1)).toBe('out "\\n"');
  });

  it('on a terminal: a mark while nothing has come yet, gone when something comes', () => {
    const { log, terminal } = screen(true);
    const printer = new AnswerPrinter(terminal, { showReasoning: false });
    printer.wait();
    printer.reasoning('hidden');
    printer.text('So');
    printer.end();
    expect(log.slice(0, 2)).toEqual(['err "\\u001b[2m…\\u001b[22m"', 'err "\\r\\u001b[K"']);
    expect(log.slice(2).join('')).toBe('out "So"out "\\n"');
  });

  it('in a pipe: as it is, with one line feed at its end', () => {
    const { log, terminal } = screen(false);
    const printer = new AnswerPrinter(terminal, { showReasoning: false });
    printer.wait();
    printer.reasoning('hidden');
    printer.text('**as** ');
    printer.text('is');
    printer.end();
    printer.text('next\n');
    printer.end();
    expect(log).toEqual(['out "**as** "', 'out "is"', 'out "\\n"', 'out "next\\n"']);
  });

  it('never passes on what a terminal would obey, even cut in two', () => {
    const { log, terminal } = screen(false);
    const printer = new AnswerPrinter(terminal, { showReasoning: true });
    printer.reasoning('a\x1b');
    printer.reasoning('[31mb');
    printer.text('c\x1b]0;x');
    printer.text('\x07d\x1b[2');
    printer.end();
    expect(log).toEqual(['err "a"', 'err "b"', 'err "\\n\\n"', 'out "c"', 'out "d"', 'out "[2"', 'out "\\n"']);
  });
});
