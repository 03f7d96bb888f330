// The registry: tasks are pure in (seed, index), pair across levels, keep to their split, and a perfect student's messages
// are graded right at every level, with and without each tool; corrupted ones are not.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../text/harmony/messages.ts';
import { type CallMade, type Task, type TaskFamily, taskFamilies, taskFamilyNamed } from './registry.ts';

function studentOf(task: Task): { final: string; calls: CallMade[] } {
  const written = task.messages.slice(task.prompt.length).filter(({ role }) => role === 'assistant');
  const text = (message: Message): string => message.content as string;
  return {
    final: text(written.at(-1)!),
    calls: written.flatMap((message) =>
      message.recipient === undefined ? [] : [{ to: message.recipient, content: text(message) }],
    ),
  };
}

/** The opposite, another number, another word: whatever the answer is made of. */
function corrupted(final: string): string {
  if (/^(Yes|No)\b/.test(final))
    return final.startsWith('Yes') ? final.replace('Yes', 'No') : final.replace('No', 'Yes');
  const changed = final.replace(/\d+/g, (digits) => String(Number(digits) + 1)).replace(/"(?=[^"]*$)/, 'x"');
  return changed === final ? 'Something else.' : changed;
}

const kinds = [{}, { heldOutTemplates: true }, { heldOutTemplates: true, harder: true }] as const;

describe.each(taskFamilies.map((family) => [family.name, family] as const))(
  'task family %s',
  (_, family: TaskFamily) => {
    const index = fc.nat(100_000);

    it('grades a perfect student right and a corrupted one wrong, at every level and with every tool', () => {
      fc.assert(
        fc.property(index, fc.constantFrom(...kinds), fc.constantFrom('none', ...family.tools), (n, kind, tool) => {
          for (const level of family.levels) {
            const task = family.generate(5, n, { level, tool, ...kind });
            if (task === null) return;
            const { final, calls } = studentOf(task);
            expect(family.grade(task, final, calls), `${task.id}: ${final}`).toMatchObject({
              ...{ isCorrect: true, undeclared: 0, malformed: 0, calls: calls.length },
            });
            for (const bad of ['', 'I am not sure.', corrupted(final)]) {
              expect(family.grade(task, bad, calls).isCorrect, `${task.id}: ${bad}`).toBe(false);
            }
            const undeclared = [...calls, { to: 'functions.nothing_of_this_name', content: '{}' }];
            expect(family.grade(task, final, undeclared).undeclared).toBe(1);
          }
        }),
        { numRuns: 3, seed: 1 },
      );
    });

    it('gives the same problem at each level, whatever was asked before, and keeps to its split', () => {
      fc.assert(
        fc.property(index, fc.constantFrom('train', 'val', 'test'), (n, split) => {
          const [low, high, again] = (['low', 'high', 'low'] as const).map((level) =>
            family.generate(6, n, { level, split }),
          );
          if (low === null) return;
          expect(high!.key).toBe(low!.key);
          expect(high!.prompt.slice(1)).toEqual(low!.prompt.slice(1));
          expect(again!.messages).toEqual(low!.messages);
          expect(low!.split).toBe(split);
        }),
        { numRuns: 2, seed: 2 },
      );
    });
  },
);

describe('the registry', () => {
  it('has names of its own for all families, and says which there are', () => {
    const names = taskFamilies.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(taskFamilyNamed('addition').suite).toBe(1);
    expect(() => taskFamilyNamed('cooking')).toThrow(/no task family cooking; expected one of addition/);
  });
});
