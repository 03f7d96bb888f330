// Which example is the n-th of a run: family by weight, size, split, then the same problem at each level, so that the level
// in the system message is the only cue for how long to think. Some problems come with a tool, some with one that is of
// no use. Everything is a pure function of (seed, n). Next: ../tasks/families.ts, documents.ts (pre-training).

import { GptOssError } from '../../errors.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { canUse, conversationOf, type TaskConversation } from '../tasks/conversation.ts';
import { type DataStage, families, familyNamed, type WeightedFamily, weightIn } from '../tasks/families.ts';
import { type DrawnItem, drawItem, type GeneralTool } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import { type Example, taskExample } from './examples.ts';

export interface MixtureOptions {
  readonly seed: number;
  /** Names of families; default: all. */
  readonly families?: readonly string[];
  /** Which stage's weights; default sft. */
  readonly stage?: DataStage;
  /** Share of solutions with a slip that the check finds. Default 0.25. */
  readonly slips?: number;
  /** Share of the problems that a tool can solve which come with one. Default 0.15. */
  readonly tools?: number;
  /** Longest example in tokens; longer ones are drawn again. Default 512. */
  readonly longest?: number;
}

/** Conversation n: problem n / 3, at one of the three levels each. */
export class TaskMixture {
  readonly #options: MixtureOptions;
  readonly #families: readonly WeightedFamily[];
  readonly #encoding: HarmonyEncoding | null;
  #last: { problem: number; attempt: number; item: DrawnItem } | null = null;

  /** Without an encoding only conversations can be had, no examples. */
  constructor(encoding: HarmonyEncoding | null, options: MixtureOptions) {
    this.#encoding = encoding;
    this.#options = options;
    const named = options.families;
    const stage = options.stage ?? 'sft';
    this.#families =
      named === undefined
        ? families.map((each) => ({ ...each, weight: weightIn(stage, each) }))
        : named.map((name) => ({ family: known(name), weight: 1 }));
  }

  conversation(n: number): TaskConversation {
    return this.#draw(n, 0);
  }

  example(n: number): Example {
    return this.exampleOf(n).example;
  }

  exampleOf(n: number): { example: Example; conversation: TaskConversation } {
    const longest = this.#options.longest ?? 512;
    const encoding = this.#encoding;
    if (encoding === null) throw new GptOssError('internal', 'examples were asked of a mixture without an encoding');
    for (let attempt = 0; ; attempt++) {
      const conversation = this.#draw(n, attempt);
      const example = taskExample(encoding, conversation);
      if (example.ids.length <= longest || attempt === 20) return { example, conversation };
    }
  }

  #draw(n: number, attempt: number): TaskConversation {
    const problem = Math.floor(n / 3);
    const { seed, tools = 0.15 } = this.#options;
    const item = this.#item(problem, attempt);
    const random = new Random(seed, 'setting', n);
    const order = new Random(seed, 'levels', problem).shuffle(reasoningEfforts);
    const toolDraw = new Random(seed, 'tool', problem); // the same for all levels of a problem
    const useful = (['calculate', 'python'] as const).filter((tool) => canUse(item, tool));
    let tool: GeneralTool = 'none';
    if (useful.length > 0) {
      if (toolDraw.chance(tools)) tool = toolDraw.pick(useful);
    } else if (toolDraw.chance(0.2)) tool = uselessTool(item, toolDraw);
    return conversationOf(item, { level: order[n % 3]!, tool, heldOut: false }, random);
  }

  #item(problem: number, attempt: number): DrawnItem {
    if (this.#last?.problem === problem && this.#last.attempt === attempt) return this.#last.item;
    const { seed, slips = 0.25 } = this.#options;
    for (let again = 0; ; again++) {
      const random = new Random(seed, 'problem', problem * 1024 + attempt * 32 + again);
      const { family } = this.#families[random.weighted(this.#families.map(({ weight }) => weight))]!;
      const item = drawItem(family, { random, size: random.int(1, family.sizes), heldOut: false, slips }, 'train');
      if (item === null) continue;
      this.#last = { problem, attempt, item };
      return item;
    }
  }
}

/** A tool that cannot help; none beside functions with a question that it could answer. */
function uselessTool(item: DrawnItem, random: Random): GeneralTool {
  if (item.functions === undefined) return random.pick(['calculate', 'python'] as const);
  return item.family === 'no-function-needed' ? 'none' : 'python';
}

function known(name: string): WeightedFamily['family'] {
  const family = familyNamed(name);
  if (family === undefined)
    throw new GptOssError(
      'invalid-request',
      `there is no task family ${name}; expected one of the list; see docs/training.md`,
    );
  return family;
}
