// Greedy answers to unseen problems, by family and level: how a stage is watched. Problems are of the validation split,
// with the tool that a mixture would offer left out. The real evaluation is another program's; this one is quick.

import type { Engine } from '../../engine/engine.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { readTurn } from '../../text/harmony/turn.ts';
import { promptIds } from '../data/examples.ts';
import { TaskEnvironment } from '../rl/task-environment.ts';
import { toolAnswer } from '../rl/tool-answer.ts';
import { conversationOf } from '../tasks/conversation.ts';
import { families, familyNamed } from '../tasks/families.ts';
import { drawItem, type Family } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import type { TaskRecord } from './log.ts';

export interface EvaluateOptions {
  readonly stage: string;
  readonly seed: number;
  readonly items: number; // of each family, asked at all three levels
  readonly families?: readonly string[];
  readonly mostTokens?: number; // of an answer; default 448
  readonly signal?: AbortSignal;
}

export async function evaluateTasks(
  engine: Engine,
  encoding: HarmonyEncoding,
  options: EvaluateOptions,
): Promise<TaskRecord[]> {
  const named = options.families?.map((name) => familyNamed(name)!) ?? families.map(({ family }) => family);
  const records: TaskRecord[] = [];
  for (const family of named) {
    for (const level of reasoningEfforts) {
      const answers = await Promise.all(
        Array.from({ length: options.items }, (_, n) => answerOne(engine, encoding, family, level, n, options)),
      );
      const done = answers.filter((answer) => answer !== null);
      if (done.length === 0) continue;
      records.push({
        ...{ stage: options.stage, family: family.name, level, of: done.length },
        right: done.filter(({ isRight }) => isRight).length,
        tokens: done.reduce((sum, { tokens }) => sum + tokens, 0) / done.length,
      });
    }
  }
  return records;
}

async function answerOne(
  engine: Engine,
  encoding: HarmonyEncoding,
  family: Family,
  level: (typeof reasoningEfforts)[number],
  n: number,
  options: EvaluateOptions,
): Promise<{ isRight: boolean; tokens: number } | null> {
  const random = new Random(options.seed, `evaluate ${family.name}`, n);
  const item = drawItem(family, { random, size: random.int(1, family.sizes), heldOut: false, slips: 0 }, 'val');
  if (item === null) return null;
  const environment = new TaskEnvironment(
    conversationOf(item, { level, tool: 'none', heldOut: false }, random),
    family,
  );
  const ids = promptIds(encoding, environment.prompt);
  let tokens = 0;
  for (let calls = 0; ; calls++) {
    const room = Math.min(options.mostTokens ?? 448, engine.context - ids.length);
    if (room < 1) return { isRight: false, tokens };
    const generation = engine.generate(ids, {
      temperature: 0,
      maxTokens: room,
      stopIds: encoding.stopIds(),
      signal: options.signal,
    });
    const { tokens: generated } = await generation.result;
    tokens += generated.length;
    const turn = readTurn(encoding, generated, { tools: environment.tools });
    const more = toolAnswer(encoding, environment, turn, calls);
    if (more === null) return { isRight: environment.judge(turn).isCorrect, tokens };
    ids.push(...generated, ...more);
  }
}
