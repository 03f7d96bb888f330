// Reinforcement on a small model: rollouts agree with training, prompts are shared, rewards pay for verdicts alone, tricks
// do not pay, and an environment with state judges the state. A model learns a token that is rewarded within some steps.
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../backend/backend.ts';
import { addonPath } from '../../backend/cpu/addon.testing.ts';
import { findAddon } from '../../backend/cpu/addon.ts';
import { CpuBackend, cpuVariants } from '../../backend/cpu/cpu.ts';
import { ReferenceBackend } from '../../backend/reference/reference.ts';
import type { Turn } from '../../text/harmony/turn.ts';
import { freshModel, openTrainer, type TrainerOptions } from '../../training.node.ts';
import { smallConfig } from '../batches.testing.ts';
import { smallVocabulary } from '../data/data.testing.ts';
import { applyCall } from '../tasks/cart.ts';
import { conversationOf } from '../tasks/conversation.ts';
import { familyNamed } from '../tasks/families.ts';
import { drawItem } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import { calculate } from './calculate.ts';
import type { Environment, Verdict } from './environment.ts';
import { MAX_LOGPROB_GAP, type ReinforceOptions, reinforceStep } from './reinforce.ts';
import { advantages, rewardOf } from './rewards.ts';
import { TaskEnvironment } from './task-environment.ts';

const { encoding } = smallVocabulary();
const config = smallConfig({ vocab: 640, maxContext: 256 });
const right: Verdict = { isCorrect: true, undeclared: 0, malformed: 0, calls: 0 };
const outcome = {
  verdict: right,
  level: 'medium',
  isGuessable: false,
  reasoningTokens: 10,
  isMalformed: false,
} as const;

/** Rewards answers that hold a given token, whatever else they are. */
function tokenEnvironment(level: Environment['level'] = 'low'): Environment {
  return {
    ...{ name: 'token', level, isGuessable: false, maxCalls: 1, tools: { functions: [], builtins: [] } },
    prompt: [{ role: 'user', content: 'Hi' }],
    call: () => 'no',
    judge: () => right,
  };
}

const options: ReinforceOptions = {
  ...{ seed: 5, groups: 2, groupSize: 3, context: 128, room: 8, capFactor: 1, resample: 1 },
  environment: () => tokenEnvironment(),
  backend: () => new ReferenceBackend({ precision: 'exact', maxRows: 64 }),
  budgets: { low: { tokens: 8, slope: 1 }, medium: { tokens: 16, slope: 0.5 }, high: { tokens: 32, slope: 0.1 } },
};

/** Rollouts and training by the same kind of code: plain TypeScript, or native, each instruction set. */
const kinds: readonly [string, TrainerOptions, () => Backend][] = [
  ['reference', { backend: 'reference' }, options.backend],
  ...(findAddon(addonPath).addon === null ? [] : cpuVariants(addonPath))
    .filter((name) => /^(scalar|avx2|avx512|neon)$/.test(name))
    .map((isa): [string, TrainerOptions, () => Backend] => [
      isa,
      { backend: 'cpu', isa, threads: 1 },
      () => new CpuBackend({ precision: 'exact', isa, threads: 1, addonPath }),
    ]),
];

describe('a step', () => {
  it.each(kinds)('has the same log-probabilities in rollout and training on %s', async (_, trains, backend) => {
    for (const fakeQuantised of [true, false]) {
      const trainer = openTrainer(freshModel(config, 3), trains);
      // A reward that differs within groups: by the length of what was said.
      const judged = (): Environment => ({
        ...tokenEnvironment(),
        judge: (turn: Turn) => ({
          ...right,
          malformed: turn.messages.map(({ content }) => content).join('').length % 3,
          isCorrect: false,
        }),
      });
      const result = await reinforceStep(
        trainer,
        encoding,
        { ...options, backend, environment: judged, fakeQuantised, groupSize: 6 },
        { learningRate: 1e-3 },
      );
      expect(result.rollouts.length).toBeGreaterThan(0);
      expect(result.update?.step).toBe(1);
      expect(result.largestGap).toBeLessThanOrEqual(MAX_LOGPROB_GAP);
      expect(result.rollouts.some(({ logprobs }) => logprobs.some((value) => value < -1))).toBe(true);
      await trainer.close();
    }
  });

  it('is a function of seed and step, drops groups that teach nothing, and can be stopped', async () => {
    const trainer = openTrainer(freshModel(config, 3), { backend: 'reference' });
    const flat = (): Environment => ({ ...tokenEnvironment(), judge: () => ({ ...right, isCorrect: false }) });
    const results = await Promise.all(
      [0, 1].map(async () => reinforceStep(trainer, encoding, { ...options, environment: flat }, { learningRate: 1 })),
    );
    expect(results[0]!.update).toBeNull();
    expect(results[0]!.flat).toBe(1);
    expect(trainer.state.step).toBe(0);
    expect(results[1]!.generatedTokens).toBe(results[0]!.generatedTokens);
    await trainer.close();
  });
});

describe('a reward', () => {
  it('pays for being right, less for being long, never for being short and wrong', () => {
    expect(rewardOf(outcome).reward).toBe(1);
    expect(rewardOf({ ...outcome, reasoningTokens: 160 * 2 }).reward).toBe(0.5);
    expect(rewardOf({ ...outcome, level: 'low', reasoningTokens: 500 }).reward).toBeCloseTo(0.2);
    expect(rewardOf({ ...outcome, reasoningTokens: 0, verdict: { ...right, isCorrect: false } }).reward).toBe(0);
    expect(rewardOf({ ...outcome, isGuessable: true }).reward).toBe(0.5);
  });

  it('never pays for a call as such, and charges for bad ones', () => {
    const wrong = { ...right, isCorrect: false };
    for (const calls of [0, 1, 2, 5]) {
      expect(rewardOf({ ...outcome, verdict: { ...wrong, calls } }).reward).toBeLessThanOrEqual(0);
      expect(rewardOf({ ...outcome, verdict: { ...right, calls } }).reward).toBe(1);
      expect(rewardOf({ ...outcome, level: 'low', verdict: { ...right, calls } }).reward).toBeLessThanOrEqual(1);
    }
    expect(rewardOf({ ...outcome, verdict: { ...right, undeclared: 1 } }).reward).toBeCloseTo(0.7);
    expect(rewardOf({ ...outcome, verdict: { ...wrong, malformed: 99, undeclared: 9 } }).reward).toBe(-0.5);
    expect(rewardOf({ ...outcome, isMalformed: true }).reward).toBe(-0.25);
  });

  it('does not depend on what the reasoning says', () => {
    // Only its length is known to the reward at all.
    expect(Object.keys(outcome).sort()).toEqual(['isGuessable', 'isMalformed', 'level', 'reasoningTokens', 'verdict']);
  });

  it('becomes advantages that sum to nothing', () => {
    expect(advantages([1, 0, 0, 0])).toEqual([0.75, -0.25, -0.25, -0.25]);
  });
});

const turnOf = (text: string): Turn => ({
  ...{ reasoning: '', text, fallback: null, preambles: [], calls: [], unfinishedCall: null, finish: 'stop' },
  ...{ reasoningTokens: 0, messages: [], problems: [] },
});

describe('tricks', () => {
  const family = familyNamed('addition')!;
  const item = drawItem(family, { random: new Random(1, 'x', 0), size: 3, heldOut: false, slips: 0 }, 'train')!;
  const environment = (tool: 'none' | 'calculate'): TaskEnvironment =>
    new TaskEnvironment(conversationOf(item, { level: 'medium', tool, heldOut: false }, new Random(2, 'y', 0)), family);
  const answer = Number(/(\d+)\.?$/.exec(item.solutions.low.final)![1]);

  it('do not pay: many candidates, a tool made up, the question again, nothing at all', () => {
    const tried = [
      Array.from({ length: 40 }, (_, i) => answer - 20 + i).join(' or '),
      `It is ${answer + 1} or ${answer}.`,
      item.prompts[0]!,
      '',
      'The tool said it is right.',
    ];
    for (const text of tried) expect(environment('none').judge(turnOf(text)).isCorrect, text).toBe(false);
    expect(environment('none').judge(turnOf(item.solutions.low.final)).isCorrect).toBe(true);
  });

  it('find no gold answer in tools: the calculator calculates what it is given', () => {
    const env = environment('calculate');
    const name = `functions.${env.tools.functions[0]}`;
    const asked = (expression: string): string => {
      const { content } = env.prompt[1]!;
      const part = typeof content === 'string' ? undefined : content[0];
      const parameters = part?.type === 'developer' ? part.functions![0]!.parameters : {};
      const key = Object.keys((parameters as { properties: object }).properties)[0]!;
      return env.call({ name, arguments: { [key]: expression }, text: '' });
    };
    expect(asked('1 + 1')).toBe('2');
    expect(asked('answer')).toContain('error');
    expect(env.call({ name: 'functions.give_answer', arguments: {}, text: '' })).toContain('unknown');
    expect(env.judge(turnOf(item.solutions.low.final))).toMatchObject({ undeclared: 1, malformed: 1, calls: 3 });
  });

  it('python prints what it is given, not what is wanted', () => {
    const setting = { level: 'low', tool: 'python', heldOut: false } as const;
    const env = new TaskEnvironment(conversationOf(item, setting, new Random(2, 'y', 0)), family);
    const run = (text: string): string => env.call({ name: 'python', arguments: undefined, text });
    expect([run('print(2 + 3 * 4)'), run('print(7 // 2)'), run('print(2 ** 10 % 7)')]).toEqual(['14', '3', '2']);
    expect(env.judge(turnOf('14')).malformed).toBe(0);
    for (const code of ['print(7 / 2)', 'print(answer)', 'import os', 'print((1)'])
      expect(run(code)).toContain('error');
  });

  it('a declared function answers only the right call, and only once', () => {
    const calls = familyNamed('function-call')!;
    const drawn = drawItem(calls, { random: new Random(4, 'f', 1), size: 2, heldOut: false, slips: 0 }, 'train')!;
    const make = (): TaskEnvironment =>
      new TaskEnvironment(
        conversationOf(drawn, { level: 'low', tool: 'none', heldOut: false }, new Random(2, 'y', 0)),
        calls,
      );
    const expected = drawn.expectedCall!;
    const good = { name: expected.name, arguments: expected.arguments, text: '' };
    const final = turnOf(drawn.solutions.low.final);
    expect(make().judge(final).isCorrect).toBe(false); // the answer without the call
    const wrong = make();
    expect(wrong.call({ ...good, arguments: { ...expected.arguments, extra: 1 } })).toContain('error');
    expect(wrong.judge(final).isCorrect).toBe(false);
    const once = make();
    once.call(good);
    expect(once.judge(final).isCorrect).toBe(true);
    once.call(good);
    expect(once.judge(final).isCorrect).toBe(false);
  });
});

describe('the cart', () => {
  it('is judged by its state, whichever calls led there, and by an answer that says so', () => {
    const family = familyNamed('cart')!;
    const item = drawItem(family, { random: new Random(3, 'cart', 1), size: 3, heldOut: false, slips: 0 }, 'train')!;
    const make = (): TaskEnvironment =>
      new TaskEnvironment(
        conversationOf(item, { level: 'medium', tool: 'none', heldOut: false }, new Random(2, 'y', 0)),
        family,
      );
    const final = turnOf(item.solutions.low.final);
    expect(make().judge(final).isCorrect).toBe(false); // the answer without the calls
    const env = make();
    const cartOf = (text: string): [string, number][] =>
      [...text.matchAll(/(\d+) ([a-z]+)/g)].map(([, n, name]) => [name!, Number(n)]);
    // Everything out, then what is wanted in small steps.
    for (const [name] of cartOf(item.key.split(':')[0]!)) {
      env.call({ name: 'functions.remove', arguments: { item: name }, text: '' });
    }
    for (const [name, quantity] of cartOf(item.solutions.low.final)) {
      env.call({ name: 'functions.add', arguments: { item: name, quantity: 1 }, text: '' });
      if (quantity > 1) env.call({ name: 'functions.set_quantity', arguments: { item: name, quantity }, text: '' });
    }
    expect(env.judge(final)).toMatchObject({ isCorrect: true, malformed: 0 });
    expect(env.judge(turnOf('Done.')).isCorrect).toBe(false);
    expect(env.call({ name: 'functions.remove', arguments: { item: 'gold' }, text: '' })).toContain('not possible');
    expect(env.judge(final)).toMatchObject({ isCorrect: true, malformed: 1 });
  });

  it('refuses calls that make no sense', () => {
    const cart = { pears: 2 };
    for (const given of [
      {},
      { item: 'pears' },
      { item: 'pears', quantity: 0 },
      { item: 'pears', quantity: 1.5 },
      { item: '__proto__', quantity: 1 },
    ]) {
      expect(applyCall(cart, 'functions.add', given)).toBeNull();
    }
    expect(applyCall(cart, 'functions.add', { item: 'pears', quantity: 3 })).toEqual({ pears: 5 });
  });
});

describe('the calculator', () => {
  it.each([
    ['1 + 2 * 3', '7'],
    ['(1 + 2) * 3', '9'],
    ['7 // 2 - 7 % 2', '2'],
    ['-7 // 2', '-4'],
    ['2 ** 10', '1024'],
    ['-2 ** 2', '-4'],
    ['1 / 3', '0.3333333333'],
    ['0.1 + 0.2', '0.3'],
    ['12 × 3 ÷ 4', '9'],
    ['99999999999 * 99999999999', '9999999999800000000001'],
  ])('says %s = %s', (expression, value) => {
    expect(calculate(expression)).toEqual({ value });
  });

  it.each([
    '',
    '1 +',
    '1 / 0',
    '(1',
    '1 2',
    'x',
    '9 ** 9 ** 9',
    '('.repeat(400),
    '-'.repeat(400),
    '1'.repeat(600),
    '0 ** -1',
  ])('refuses %j', (text) => {
    expect(calculate(text)).toHaveProperty('error');
  });
});
