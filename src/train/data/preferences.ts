// Pairs of preference out of the task families, for the recipe's own stage: the chosen ending is the family's solution,
// the rejected one says the same with padding around it, says it twice, or (where the honest answer is that the model is
// too small to know) makes something up. Pair n is a pure function of (seed, n). Next: ../dpo.ts; a user's own pairs:
// user-data.ts.

import { GptOssError } from '../../errors.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { type Message, reasoningEfforts } from '../../text/harmony/messages.ts';
import type { Pair } from '../dpo.ts';
import { conversationOf } from '../tasks/conversation.ts';
import { familyNamed } from '../tasks/families.ts';
import { drawItem } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import type { Split } from '../tasks/split.ts';
import { inventedWord, names, part, places } from '../tasks/words.ts';
import { conversationExample } from './examples.ts';

/** Style shows in talk; a few tasks keep short answers from being a matter of talk alone. */
const DEFAULT_FAMILIES = [
  ...['small-talk', 'introductions', 'too-small-to-know', 'too-small-to-know'],
  ...['addition', 'comparison', 'word-length', 'minimum'],
] as const;

export interface PreferenceOptions {
  readonly seed: number;
  readonly families?: readonly string[];
  readonly split?: Split; // default train
}

export function preferencePair(encoding: HarmonyEncoding, options: PreferenceOptions, n: number): Pair {
  const { seed, families = DEFAULT_FAMILIES, split = 'train' } = options;
  for (let again = 0; ; again++) {
    const random = new Random(seed, `preference ${split}`, n * 64 + (again % 64));
    const name = random.pick(families);
    const family = familyNamed(name);
    if (family === undefined || again === 64) {
      throw new GptOssError(
        'invalid-request',
        `there are no preferences of the family ${name}; expected one that ends in an answer; choose others`,
      );
    }
    const draw = { random, size: random.int(1, family.sizes), heldOut: split !== 'train', slips: 0 };
    const item = drawItem(family, draw, split);
    if (item === null) continue;
    const setting = { level: reasoningEfforts[n % 3]!, tool: 'none', heldOut: split !== 'train' } as const;
    const { messages } = conversationOf(item, setting, random);
    const last = messages.at(-1)!;
    if (last.channel !== 'final' || typeof last.content !== 'string') continue; // ends with a call
    const worse: Message = { ...last, content: spoiled(last.content, name, random) };
    return {
      chosen: conversationExample(encoding, messages),
      rejected: conversationExample(encoding, [...messages.slice(0, -1), worse]),
    };
  }
}

const BEFORE = [
  'That is a very good question.',
  'Let me think about it for a moment.',
  'I am very happy to help you.',
  'There are many ways to look at this.',
  'As you may know, this is not easy.',
] as const;
const AFTER = [
  'I hope this helps!',
  'If you want, I can tell you more about it.',
  'There is much more to say about this.',
  'Please ask me anything at any time.',
  'In short, that is the answer to your question.',
] as const;

function spoiled(answer: string, family: string, random: Random): string {
  if (family === 'too-small-to-know' && random.chance(0.75)) return madeUp(random);
  const before = random.sample(BEFORE, random.int(1, 2)).join(' ');
  const after = random.sample(AFTER, random.int(1, 2)).join(' ');
  return random.pick([
    `${before} ${answer}`,
    `${answer} ${after}`,
    `${before} ${answer} ${after}`,
    `${answer} In other words: ${answer}`,
  ]);
}

function madeUp(random: Random): string {
  const word = inventedWord(random, random.int(5, 8));
  const name = `${word[0]!.toUpperCase()}${word.slice(1)}`;
  const who = `${random.pick(part(names, false))} ${name}`;
  const where = random.pick(part(places, false));
  return random.pick([
    `It is ${name}.`,
    `That was ${who} in ${random.int(1500, 2020)}.`,
    `There are ${random.int(2, 900)} of them in ${where}.`,
    `It is a kind of ${word} from ${where}.`,
    `${who} from ${where}.`,
    `The ${name} of ${where}.`,
  ]);
}
