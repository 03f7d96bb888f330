// Plain text for pre-training, without any chat tokens: worked problems as a textbook page would show them, small stories
// of its own grammar, pages about words, python snippets with what they print, what the project is about, pages on which
// things come again (copying.ts); and, if the user gives files, their paragraphs. Document n is a pure function of (seed, n). Next: mixture.ts, for conversations.

import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { families, familyNamed, weightIn } from '../tasks/families.ts';
import { type DrawnItem, drawItem, type Solution } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import { smallTalkTexts } from '../tasks/small-talk.ts';
import { englishWords, inventedWord, names, part, places, things } from '../tasks/words.ts';
import { copyingPage } from './copying.ts';

export interface DocumentOptions {
  readonly seed: number;
  readonly families?: readonly string[];
  /** Paragraphs of the user's own files; a third of the documents then. */
  readonly paragraphs?: readonly string[];
}

export interface TextDocument {
  /** The family it is about, or what kind of text it is. */
  readonly of: string;
  readonly text: string;
  /** What it asks, where it is about a family. */
  readonly questions?: readonly string[];
}

export class DocumentMixture {
  readonly #options: DocumentOptions;

  constructor(options: DocumentOptions) {
    this.#options = options;
  }

  document(n: number): string {
    return this.documentOf(n).text;
  }

  documentOf(n: number): TextDocument {
    const { seed, paragraphs = [], families: named } = this.#options;
    const random = new Random(seed, 'document', n);
    if (paragraphs.length > 0 && random.chance(1 / 3)) return { of: 'own text', text: random.pick(paragraphs) };
    // Worked problems are what the model is for; the rest keeps names, words and code from being seen in problems alone.
    switch (random.weighted([60, 4, 9, 4, 3, 20])) {
      case 0:
        return workedPage(random, named);
      case 1:
        return { of: 'stories', text: story(random) };
      case 2:
        return { of: 'words', text: wordPage(random) };
      case 3:
        return { of: 'code', text: snippet(random, named) };
      case 4:
        return { of: 'talk', text: random.shuffle(smallTalkTexts()).slice(0, 6).join('\n') };
      default:
        return { of: 'copying', text: copyingPage(random) };
    }
  }
}

/** Half a page of problems of one family with their solutions, in all styles. */
function workedPage(random: Random, named: readonly string[] | undefined): TextDocument {
  const count = random.int(1, 4);
  const problems: { question: string; text: string }[] = [];
  const item = drawTrained(random, named);
  const family = familyNamed(item.family)!;
  for (let i = 0; i < count; i++) {
    const other =
      i === 0
        ? item
        : drawItem(family, { random, size: random.int(1, family.sizes), heldOut: false, slips: 0 }, 'train');
    if (other !== null) problems.push(worked(other, random));
  }
  return {
    of: item.family,
    text: problems.map(({ text }) => text).join('\n\n'),
    questions: problems.map(({ question }) => question),
  };
}

function drawTrained(
  random: Random,
  named: readonly string[] | undefined,
  only: (item: DrawnItem) => boolean = () => true,
): DrawnItem {
  for (;;) {
    const family =
      named === undefined
        ? families[random.weighted(families.map((each) => weightIn('pretrain', each)))]!.family
        : familyNamed(random.pick(named))!;
    const item = drawItem(family, { random, size: random.int(1, family.sizes), heldOut: false, slips: 0 }, 'train');
    if (item !== null && only(item)) return item;
  }
}

function worked(item: DrawnItem, random: Random): { question: string; text: string } {
  const solution = item.solutions[reasoningEfforts[random.weighted([1, 2, 2])]!];
  const steps = reasoningOf(solution);
  const [before, answer] = random.pick([
    ['', ''],
    ['Question: ', 'Answer: '],
    ['Q: ', 'A: '],
    ['Problem: ', 'Solution: '],
  ] as const);
  const question = random.pick(item.prompts);
  const lines = [`${before}${question}`, ...(steps === '' ? [] : [steps]), `${answer}${solution.final}`];
  return { question, text: lines.join('\n') };
}

function reasoningOf({ steps }: Solution): string {
  return steps
    .map((step) =>
      step.kind === 'analysis' ? step.pieces.map(({ text }) => text).join('') : `${step.content}\n> ${step.result}`,
    )
    .join('\n');
}

function snippet(random: Random, named: readonly string[] | undefined): string {
  const count = random.int(1, 4);
  const lines: string[] = [];
  const fits = (item: DrawnItem): boolean => item.tool !== undefined;
  if (named !== undefined && !named.some((name) => familyNamed(name)?.suite !== 14)) return story(random);
  for (let i = 0; i < count; i++) {
    const { tool } = drawTrained(random, undefined, fits);
    lines.push(`>>> ${tool!.code}`, tool!.result);
  }
  return lines.join('\n');
}

function wordPage(random: Random): string {
  const words = Array.from({ length: random.int(2, 6) }, () =>
    random.chance(0.6) ? random.pick(englishWords) : inventedWord(random, random.int(3, 10)),
  );
  return words
    .map((word) =>
      random.pick([
        `${word}: ${[...word].join(' ')}`,
        `${word} has ${word.length} letters: ${[...word].join('-')}`,
        `${[...word].join(' ')} spells ${word}.`,
        `${word} backwards is ${[...word].reverse().join('')}.`,
      ]),
    )
    .join('\n');
}

/** A few sentences in which the same person, place and things come back. */
function story(random: Random): string {
  const [who, friend] = random.sample(part(names, false), 2) as [string, string];
  const where = random.pick(part(places, false));
  const what = random.pick(part(things, false));
  const n = random.int(2, 20);
  const more = random.int(1, 9);
  const time = random.pick(['One day', 'In the morning', 'On Monday', 'After dinner', 'Last summer', 'In the evening']);
  const mood = random.pick(['happy', 'tired', 'glad', 'surprised', 'proud']);
  const sentences = [
    random.pick([`${who} lived in ${where}.`, `${who} came from ${where}.`, `This is ${who} from ${where}.`]),
    `${time}, ${who} ${random.pick(['found', 'bought', 'made', 'counted', 'got'])} ${n} ${what}.`,
    random.pick([
      `${friend} was a friend of ${who}.`,
      `Then ${friend} came by.`,
      `${friend} wanted some ${what}, too.`,
    ]),
    random.pick([
      `${who} gave ${friend} ${Math.min(more, n - 1)} of them, so ${n - Math.min(more, n - 1)} were left.`,
      `${friend} brought ${more} more, so there were ${n + more} ${what}.`,
    ]),
    random.pick([`They were ${mood}.`, `${who} was ${mood}.`, `${friend} said thank you.`, `Then they went home.`]),
  ];
  return sentences.slice(0, random.int(3, 5)).join(' ');
}
