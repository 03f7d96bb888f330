import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PatchError, parsePatch, patchIn, updatedText } from './patch-text.ts';

const patch = (...lines: string[]): string => ['*** Begin Patch', ...lines, '*** End Patch'].join('\n');

function update(before: string, ...lines: string[]): { text: string; fuzz: number } {
  const [change] = parsePatch(patch('*** Update File: f', ...lines));
  if (change?.type !== 'update') throw new Error('no update');
  return updatedText(before, change.hunks, 'f');
}

describe('a patch', () => {
  it('holds files to add, to delete, to update and to move', () => {
    const changes = parsePatch(
      patch(
        ...['*** Add File: a/new.txt', '+one', '+', '+two'],
        ...['*** Delete File: old.txt'],
        ...['*** Update File: src/app.py', '*** Move to: src/main.py', '@@ def greet():', '-print("Hi")', '+print(1)'],
      ),
    );
    expect(changes).toEqual([
      { type: 'add', path: 'a/new.txt', text: 'one\n\ntwo\n' },
      { type: 'delete', path: 'old.txt' },
      {
        type: 'update',
        path: 'src/app.py',
        moveTo: 'src/main.py',
        hunks: [
          {
            header: 'def greet():',
            old: ['print("Hi")'],
            changes: [{ at: 0, removed: ['print("Hi")'], added: ['print(1)'] }],
            isAtEnd: false,
          },
        ],
      },
    ]);
  });

  it('is found as it is, in JSON, in a fence and behind a here-document', () => {
    const text = patch('*** Delete File: a');
    for (const message of [
      text,
      `\n${text}\n`,
      JSON.stringify({ patch: text }),
      JSON.stringify(text),
      JSON.stringify(['apply_patch', text]),
      `\`\`\`\n${text}\n\`\`\``,
      `apply_patch <<'EOF'\n${text}\nEOF`,
    ]) {
      expect(patchIn(message)).toBe(text);
    }
  });

  it.each([
    ['no beginning', 'hello', /must start with/],
    ['no end', '*** Begin Patch\n*** Delete File: a', /missing \*\*\* End Patch/],
    ['nothing in it', patch(), /changes nothing/],
    ['an unknown line', patch('*** Rename File: a'), /Unknown line while parsing: \*\*\* Rename/],
    ['text after a deletion', patch('*** Delete File: a', 'rest'), /Unknown line/],
    ['two of one file', patch('*** Delete File: a', '*** Delete File: ./a'), /Duplicate delete for file: a/],
    [
      'a move onto a file of the patch',
      patch('*** Delete File: b', '*** Update File: a', '*** Move to: b'),
      /Duplicate/,
    ],
    ['a line without plus', patch('*** Add File: a', 'x'), /missing '\+'/],
    ['a line without mark', patch('*** Update File: a', '@@', 'x'), /Invalid Line: x/],
    [
      'a second hunk without @@',
      patch('*** Update File: a', '@@', '-x', '*** End of File', '-y'),
      /Invalid line in update/,
    ],
    ['an empty hunk', patch('*** Update File: a', '@@', '@@', '-x'), /Nothing in this section/],
    ['an update without hunks', patch('*** Update File: a'), /Nothing to update/],
    ['no path', patch('*** Delete File: '), /Missing path/],
    ['another patch behind it', `${patch('*** Delete File: a')}\n${patch('*** Delete File: b')}`, /Text after|Unknown/],
  ])('with %s is refused', (_, text, message) => {
    expect(() => parsePatch(text)).toThrow(PatchError);
    expect(() => parsePatch(text)).toThrow(message);
  });
});

describe('hunks', () => {
  it('replace, insert and remove lines around their context', () => {
    expect(update('a\nb\nc\nd\n', '@@', ' a', '-b', '+B', '+B2', ' c', '@@', '-d').text).toBe('a\nB\nB2\nc\n');
    expect(update('a\nb\nc', '@@', ' b', '+x').text).toBe('a\nb\nx\nc');
    expect(update('a\nb\n', ' a', '+x', ' b').text).toBe('a\nx\nb\n');
  });

  it('begin after the line their header names', () => {
    const text = 'def f():\n  return 1\ndef g():\n  return 1\n';
    expect(update(text, '@@ def g():', '-  return 1', '+  return 2').text).toBe(
      'def f():\n  return 1\ndef g():\n  return 2\n',
    );
    expect(update(text, '@@ no such line', '-  return 1', '+  return 2').text).toContain('def f():\n  return 2');
    expect(update(text, '@@ -3,2 +3,2 @@', ' def g():', '-  return 1', '+  return 2').text).toContain(
      'g():\n  return 2',
    );
  });

  it('stand at the end when they say so', () => {
    expect(update('x\ny\nx\n', '@@', '-x', '+z', '*** End of File').text).toBe('x\ny\nz\n');
    expect(update('x\n', '@@', '+y', '*** End of File').text).toBe('x\ny\n');
    expect(update('x\ny\n', '@@', '-x', '+z', '*** End of File')).toEqual({ text: 'z\ny\n', fuzz: 10_000 });
    expect(update('', '@@', '+y').text).toBe('y\n');
  });

  it('match exactly, without trailing space, without space, and with plain punctuation, in this order', () => {
    expect(update('a\nb\n', '-b', '+c').fuzz).toBe(0);
    expect(update('a\nb  \n', '-b', '+c').fuzz).toBe(1);
    expect(update('a\n\tb\n', '-b', '+c').fuzz).toBe(100);
    expect(update('say “hi” – it’s\n', '-say "hi" - it\'s', '+c')).toEqual({ text: 'c\n', fuzz: 1000 });
    expect(update(' b\nb\n', '-b', '+c')).toEqual({ text: ' b\nc\n', fuzz: 0 });
  });

  it('take on the indentation of the place when the patch lacks it', () => {
    const text = 'class A:\n    def f(self):\n        return 1\n';
    expect(update(text, '@@', ' def f(self):', '-    return 1', '+    x = 2', '+    return x').text).toBe(
      'class A:\n    def f(self):\n        x = 2\n        return x\n',
    );
  });

  it('keep the line ends of a file', () => {
    expect(update('a\r\nb\r\n', '@@', ' a', '-b', '+c').text).toBe('a\r\nc\r\n');
  });

  it('ignore an empty line before the next section', () => {
    expect(update('a\nb\n', '@@', '-b', '+c', '').text).toBe('a\nc\n');
  });

  it('that fit nowhere say where they were looked for', () => {
    expect(() => update('a\nb\n', '@@', '-q', '+c')).toThrow(/Invalid context at line 1 of f:\nq/);
    expect(() => update('a\nb\n', '@@', '-b', '@@', '-a')).toThrow(/Invalid context at line 3/);
    expect(() => update('a\n', '@@', '-q', '*** End of File')).toThrow(/Invalid EOF context/);
  });

  it('undo each other: what a patch makes of one text into another is that other text', () => {
    const line = fc.constantFrom('a', 'b', 'c', '', ' d');
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.array(line, { minLength: 1, maxLength: 8 }), (before, after) => {
        const hunk = [...before.map((each) => `-${each}`), ...after.map((each) => `+${each}`)];
        expect(update(before.map((each) => `${each}\n`).join(''), '@@', ...hunk).text.trimEnd()).toBe(
          after.join('\n').trimEnd(),
        );
      }),
      { numRuns: 200 },
    );
  });
});

it('random patches end in changes or in a PatchError', () => {
  const piece = fc.constantFrom(
    ...['*** Begin Patch', '*** End Patch', '*** Add File: a', '*** Update File: a', '*** Delete File: a', '***'],
    ...['*** Move to: ../b', '*** End of File', '@@', '@@ x', '+x', '-x', ' x', 'x', '', '\u0000', '*** Add File: ..'],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.string(), (pieces, before) => {
      try {
        for (const change of parsePatch(patchIn(patch(...pieces)))) {
          if (change.type === 'update') updatedText(before, change.hunks, 'a');
        }
      } catch (error) {
        expect(error).toBeInstanceOf(PatchError);
      }
    }),
    { numRuns: 1000 },
  );
});
