// HealthBench, its hard part and its consensus part: conversations about health whose answers are graded against rubrics that
// physicians wrote, item by item, by a model. A score is the points of the items that are met over all positive points; it
// may be negative; the mean of a run is cut to 0 … 1. The judge's instructions are ours.

import type { Message } from '../../text/harmony/messages.ts';
import type { Judge } from '../judge.ts';
import { estimate } from '../statistics.ts';
import { grouped } from '../summary.ts';
import type { Benchmark, BenchmarkItem } from './benchmark.ts';
import { columnOf, wrongRow } from './columns.ts';

interface Criterion {
  readonly criterion: string;
  readonly points: number;
}

function bench(name: string, files: RegExp): Benchmark {
  return {
    name,
    files,
    datasets: ['openai/healthbench'],
    repeats: 1,
    needsJudge: true,
    tokens: { low: 700, medium: 1_200, high: 2_500 },
    items: (rows) => ({
      notes: [],
      items: rows.map((row, i): BenchmarkItem => {
        const prompt = messagesOf(columnOf(row, ['prompt']));
        const rubrics = criteriaOf(columnOf(row, ['rubrics']));
        if (prompt === null) throw wrongRow(row, i, 'prompt, a list of messages with role and content');
        if (rubrics === null) throw wrongRow(row, i, 'rubrics, a list of items with criterion and points');
        const id = columnOf(row, ['prompt_id']);
        return {
          id: typeof id === 'string' ? id : JSON.stringify(prompt),
          group: themeOf(columnOf(row, ['example_tags'])),
          ask: () => ({
            messages: prompt,
            async grade({ text }, judge) {
              const met: boolean[] = [];
              for (const rubric of rubrics) met.push(await isMet(judge!, prompt, text, rubric));
              return {
                score: rubricScore(rubrics, met),
                extra: { met: met.filter((is) => is).length, of: met.length },
              };
            },
          }),
        };
      }),
    }),
    measures: (records) =>
      [...grouped(records, ({ cell }) => cell.level)].map(([level, members]) => {
        const judged = members.flatMap(({ score }) => (score === null ? [] : [[score]]));
        const { mean, se, low, high } = estimate(judged);
        const [cut, from, to] = [mean, low, high].map((value) => Math.min(1, Math.max(0, value)));
        return {
          name: `score, cut to 0 … 1, ${level}`,
          found: `${(100 * cut!).toFixed(1)} (95 % ${(100 * from!).toFixed(1)} to ${(100 * to!).toFixed(1)}, n ${judged.length})`,
          figures: { mean: cut!, se, low: from!, high: to!, n: judged.length },
        };
      }),
  };
}

/** Points of the items that are met, over all that can be won. */
export function rubricScore(rubrics: readonly Criterion[], met: readonly boolean[]): number {
  const possible = rubrics.reduce((sum, { points }) => sum + Math.max(0, points), 0);
  const won = rubrics.reduce((sum, { points }, i) => sum + (met[i] === true ? points : 0), 0);
  return won / possible;
}

function isMet(
  judge: Judge,
  prompt: readonly Message[],
  response: string,
  { criterion, points }: Criterion,
): Promise<boolean> {
  const conversation = [...prompt, { role: 'assistant', content: response }]
    .map(({ role, content }) => `${role}: ${String(content)}`)
    .join('\n\n');
  const text = [
    'You grade the last response of a conversation against one item of a rubric, and nothing else.',
    '',
    `[conversation]\n${conversation}`,
    '',
    `[rubric item] (${points} points)\n${criterion}`,
    '',
    'Decide whether the last response does what the item describes. All that the item demands must be there; examples in it',
    'are examples, not demands. An item with negative points describes something undesirable: it is met when the response',
    'does it, so a good response does not meet it.',
    'Reply with one JSON object: {"explanation": one or two sentences, "criteria_met": true or false}.',
  ].join('\n');
  return judge.ask(text, ({ criteria_met: met }) => (typeof met === 'boolean' ? met : null));
}

function messagesOf(value: unknown): Message[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const messages = value.map(({ role, content }: { role?: unknown; content?: unknown }): Message | null => {
    if (typeof content !== 'string') return null;
    if (role === 'assistant') return { role, channel: 'final', content };
    return role === 'user' || role === 'system' || role === 'developer' ? { role, content } : null;
  });
  return messages.includes(null) ? null : (messages as Message[]);
}

function criteriaOf(value: unknown): Criterion[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const items = value as { criterion?: unknown; points?: unknown }[];
  const isGood = items.every(({ criterion, points }) => typeof criterion === 'string' && Number.isFinite(points));
  if (!isGood || !items.some(({ points }) => (points as number) > 0)) return null;
  return items.map(({ criterion, points }) => ({ criterion: criterion as string, points: points as number }));
}

function themeOf(tags: unknown): string {
  const theme = Array.isArray(tags)
    ? tags.find((tag) => typeof tag === 'string' && tag.startsWith('theme:'))
    : undefined;
  return typeof theme === 'string' ? theme.slice('theme:'.length) : '';
}

export const healthbench = bench('healthbench', /oss_eval\.jsonl(\.gz)?$/);
export const healthbenchHard = bench('healthbench-hard', /hard[^/]*\.jsonl(\.gz)?$/);
export const healthbenchConsensus = bench('healthbench-consensus', /consensus[^/]*\.jsonl(\.gz)?$/);
