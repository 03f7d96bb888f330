// Suite 1–4 in conversation: arithmetic that follows other questions, also in words that make sense only then (`And 3 + 4?`).
// Earlier turns stand in the prompt without their reasoning. The problem is that of its own family, and split like it.

import type { Message } from '../../text/harmony/messages.ts';
import { expressions } from './expressions.ts';
import { type Draw, type Family, type Item, isTrained } from './item.ts';
import { multiplication } from './products.ts';
import { addition, subtraction } from './sums.ts';

const FAMILIES = [addition, subtraction, multiplication, expressions] as const;

export const laterTurn: Family = {
  ...{ name: 'later-turn', suite: 1, sizes: 4, tools: ['calculate', 'python'] },
  draw(draw) {
    const { random } = draw;
    const family = random.pick(FAMILIES);
    const item = family.draw(draw);
    const history: Message[] = [];
    if (random.chance(0.25)) history.push(...turn('Hi', 'Hello! How can I help you?'));
    for (let turns = random.int(1, 2); turns > 0; turns--) {
      const before = random.chance(0.7) ? family : random.pick(FAMILIES);
      const other = trainedItem(before, draw);
      history.push(...turn(random.pick(other.prompts), other.solutions.low.final));
    }
    return {
      ...item,
      sameAs: { family: family.name, key: item.key },
      history,
      prompts: [...(item.followUps ?? []), ...item.prompts.slice(0, 2)],
      followUps: [],
    };
  },
};

function turn(question: string, answer: string): Message[] {
  return [
    { role: 'user', content: question },
    { role: 'assistant', channel: 'final', content: answer },
  ];
}

/** Earlier turns are never problems of a test. */
function trainedItem(family: Family, draw: Draw): Item {
  for (;;) {
    const size = draw.random.int(1, Math.min(draw.size, family.sizes));
    const item = family.draw({ ...draw, size, slips: 0, heldOut: false });
    if (isTrained(family, item)) return item;
  }
}
