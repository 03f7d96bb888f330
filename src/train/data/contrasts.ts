// Pairs of preference about what is right, beside those about style (preferences.ts): the right answer against one that
// is nearly right, no call against a call of something that was not declared or does not fit, and the length of reasoning
// that the level asks for against another level's. Pair n is a pure function of (seed, n). Next: ../dpo.ts.

import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { type Message, type ReasoningEffort, reasoningEfforts } from '../../text/harmony/messages.ts';
import type { Pair } from '../dpo.ts';
import { callMessages, conversationOf, solutionMessages, type TaskConversation } from '../tasks/conversation.ts';
import { families } from '../tasks/families.ts';
import { pythonJson } from '../tasks/function-concepts.ts';
import { type DrawnItem, drawItem } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import { inventedWord } from '../tasks/words.ts';
import { conversationExample } from './examples.ts';

export type Contrast = 'answer' | 'call' | 'length';

export interface ContrastOptions {
  readonly seed: number;
  readonly families?: readonly string[];
}

interface Drawn {
  readonly conversation: TaskConversation;
  readonly random: Random;
}

export function contrastPair(encoding: HarmonyEncoding, options: ContrastOptions, n: number): Pair & { of: Contrast } {
  const of = (['answer', 'answer', 'call', 'length'] as const)[n % 4]!;
  for (let again = 0; ; again++) {
    const drawn = drawContrast(options, of, n, again);
    if (drawn === null) continue;
    const { conversation } = drawn;
    const { messages, promptLength } = conversation;
    const prompt = messages.slice(0, promptLength);
    const worse = { answer: nearlyRight, call: needlessCall, length: otherLength }[of](drawn);
    if (worse === null) continue;
    return {
      of,
      chosen: conversationExample(encoding, messages),
      rejected: conversationExample(encoding, [...prompt, ...worse]),
    };
  }
}

/** Which of `options.families` fit is a matter of luck: after many tries any family may be drawn. */
function drawContrast(
  { seed, families: named }: ContrastOptions,
  of: Contrast,
  n: number,
  again: number,
): Drawn | null {
  const random = new Random(seed, `contrast ${of}`, n * 256 + again);
  const listed = families.filter(({ family }) => again > 64 || named === undefined || named.includes(family.name));
  const { family } = listed[random.weighted(listed.map(({ weight }) => weight))]!;
  const item = drawItem(family, { random, size: random.int(1, family.sizes), heldOut: false, slips: 0 }, 'train');
  if (item === null) return null;
  // How long to think is learned at both ends; the other two where there is reasoning to agree with.
  const level = of === 'length' ? random.pick(reasoningEfforts) : random.pick(['medium', 'high'] as const);
  return { conversation: conversationOf(item, { level, tool: 'none', heldOut: false }, random), random };
}

/** The same messages with another number or word in the last one; null where nothing but words could be changed. */
function nearlyRight({ conversation, random }: Drawn): Message[] | null {
  const { item, messages, promptLength } = conversation;
  const last = messages.at(-1)!;
  const text = last.content as string;
  for (let tries = 0; tries < 8; tries++) {
    const content = mistaken(text, random);
    if (content !== text && !item.verify(content)) {
      return [...messages.slice(promptLength, -1), { ...last, content }];
    }
  }
  return null;
}

function mistaken(text: string, random: Random): string {
  if (/^(Yes|No)\b/.test(text)) return text.startsWith('Yes') ? text.replace('Yes', 'No') : text.replace('No', 'Yes');
  const digits = [...text.matchAll(/\d/g)].map(({ index }) => index);
  if (digits.length > 0) {
    const at = random.chance(0.7) ? digits.at(-1)! : random.pick(digits);
    return text.slice(0, at) + ((Number(text[at]) + random.int(1, 9)) % 10) + text.slice(at + 1);
  }
  const quoted = /"([a-z]{2,})"(?=[^"]*$)/.exec(text);
  if (quoted === null) return text;
  const at = quoted.index + 1 + random.int(0, quoted[1]!.length - 2);
  return text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2); // two letters the wrong way round
}

/** A call where none is right: of python or a calculator that nobody declared, or of a function that does not fit. */
function needlessCall({ conversation, random }: Drawn): Message[] | null {
  const { item } = conversation;
  if (item.world !== undefined || (item.expectedCall !== null && item.expectedCall !== undefined)) return null;
  const call = callFor(item, random);
  return call === null ? null : [callMessages({ kind: 'call', ...call, result: '' })[0]];
}

function callFor(
  { tool, functions = [], expectedCall }: DrawnItem,
  random: Random,
): { to: string; content: string } | null {
  if (tool !== undefined) {
    const { expression, code } = tool;
    return expression === undefined || random.chance(0.5)
      ? { to: 'python', content: code }
      : { to: 'functions.calculate', content: pythonJson({ expression }) };
  }
  if (expectedCall !== null) return null;
  const name =
    functions.length > 0 && random.chance(0.7) ? random.pick(functions).name : `get_${inventedWord(random, 5)}`;
  return {
    to: `functions.${name}`,
    content: pythonJson({ [random.pick(['text', 'name', 'value'])]: inventedWord(random, 6) }),
  };
}

/** What another level would have written. */
function otherLength({ conversation, random }: Drawn): Message[] | null {
  const { item, setting, promptLength } = conversation;
  const others: readonly ReasoningEffort[] =
    setting.level === 'medium' ? ['low', 'high'] : setting.level === 'low' ? ['medium', 'high'] : ['low', 'medium'];
  const level = random.pick(others);
  return solutionMessages(item.solutions[level], promptLength).messages;
}
