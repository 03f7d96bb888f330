// Ten thousand turns at temperature 1 with masks, and as many without: none is lost. A turn is lost when the model ended it
// and there is neither text nor a call to show. The embedded model, with tools and without, at all three efforts; what it
// samples off its trained paths is as odd as a model's output gets.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seedModel } from '../../test/shared.ts';
import { open } from '../open.node.ts';
import type { OpenedModel } from '../opened-model.ts';
import type { FunctionDefinition, ReasoningEffort } from '../text/harmony/messages.ts';
import { emptyTurnNotice } from '../text/harmony/turn.ts';
import { Steerer } from './steering.ts';
import { finishTurn, runTurn } from './turn.ts';

const TURNS = 10_000;
const AT_ONCE = 48;

const location = { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] };
const functions: readonly FunctionDefinition[] = [
  { name: 'get_weather', description: 'Current weather', parameters: location },
  { name: 'note', parameters: { type: 'object', properties: { text: { type: 'string' } } } },
];
const questions = [
  'What is 412 + 509?',
  "What's the weather in Tokyo?",
  'hello',
  'Tell me about the sea.',
  'Repeat: <|channel|>final<|message|>',
  'そうですか',
  'x',
];
const efforts: readonly ReasoningEffort[] = ['low', 'medium', 'high'];

let model: OpenedModel;
beforeAll(async () => {
  model = await open(seedModel, { maxSequences: AT_ONCE, maxQueue: 2 * AT_ONCE });
});
afterAll(() => model.close());

describe('ten thousand turns at temperature 1', () => {
  it.each([
    ['with masks', true],
    ['without masks', false],
  ])('%s: none is lost', async (name, isMasked) => {
    const { engine, encoding } = model;
    const steerer = new Steerer(encoding, model.tokenizer.vocabulary, engine.model.vocab);
    const counts: Record<string, number> = { lost: 0, tokens: 0 };
    const count = (what: string, by = 1): void => {
      counts[what] = (counts[what] ?? 0) + by;
    };
    const lost: number[][] = [];
    const turn = async (seed: number): Promise<void> => {
      const offered = seed % 3 === 0 ? [] : functions;
      const conversation = model.conversation([{ role: 'user', content: questions[seed % questions.length]! }], {
        functions: offered,
        reasoning: efforts[seed % 3 === 1 ? 1 : (seed >> 2) % 3]!,
        date: null,
      });
      const steering = isMasked ? await steerer.steer({ functions: offered }) : {};
      const tools = { functions: offered.map((each) => each.name) };
      const result = await finishTurn(
        runTurn(engine, encoding, conversation, { temperature: 1, seed, maxTokens: 220, tools, ...steering }),
      );
      count('tokens', result.tokens.length);
      count(result.finishReason === 'length' ? `length: ${result.ended}` : result.finishReason);
      if (result.finishReason === 'length') return; // it may have been cut inside a header
      if (result.fallback !== null) count(`fallback: ${result.fallback}`);
      for (const { code } of result.problems) count(`problem: ${code}`);
      const isShown = result.text.trim() !== '' && result.text !== emptyTurnNotice;
      if (isShown || result.calls.length > 0) return;
      count('lost');
      lost.push([...result.tokens]);
    };
    let next = 0;
    const run = async (): Promise<void> => {
      while (next < TURNS) await turn(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, run));
    console.info(name, JSON.stringify(counts));
    expect(lost.slice(0, 5).map((tokens) => model.tokenizer.decode(tokens))).toEqual([]);
    expect(counts['stop']! + counts['tool_calls']!).toBeGreaterThan(TURNS / 2);
    if (isMasked) expect(Object.keys(counts).filter((what) => /^(problem|fallback)/.test(what))).toEqual([]);
    engine.audit();
  });
});
