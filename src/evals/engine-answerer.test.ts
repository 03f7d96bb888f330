// Going on in the middle of reasoning: to an answer, to none, and through a call to what follows it.
import { describe, expect, it } from 'vitest';
import { final, scripted } from '../server/scripted.testing.ts';
import { EngineAnswerer } from './engine-answerer.ts';
import type { CalledTool, Question } from './task.ts';

const wanted = (more: Partial<Question> = {}): Question => ({
  messages: [{ role: 'user', content: 'What is 20 + 22?' }],
  level: 'high',
  temperature: 0,
  seed: 1,
  begun: 'Wanted: 20 + 22\n= 43. Check: ',
  ...more,
});

function answererOf(...said: string[]) {
  const model = scripted((_, n) => said[n]!);
  const answerer = new EngineAnswerer({
    ...{ engine: model.engine, encoding: model.encoding, description: 'script' },
    conversation: ({ messages, level }) => model.conversation(messages, { reasoning: level }),
    close: async () => {},
  });
  return { answerer, prompts: () => model.prompts };
}

const signal = new AbortController().signal;

describe('an answer that was begun', () => {
  it('goes on from the reasoning it is given', async () => {
    const { answerer, prompts } = answererOf(`wrong. 42<|end|><|start|>assistant${final('42')}`);
    const answer = await answerer.answer(wanted(), signal);
    expect(answer).toMatchObject({ text: '42', finish: 'stop', isFinal: true, isMalformed: false, calls: 0 });
    expect(answer.reasoning).toBe('Wanted: 20 + 22\n= 43. Check: wrong. 42');
    expect(prompts()[0]!.endsWith('<|channel|>analysis<|message|>Wanted: 20 + 22\n= 43. Check: ')).toBe(true);
  });

  it('goes on through a call: it is answered, and what is said then counts', async () => {
    const called: CalledTool[] = [];
    const { answerer, prompts } = answererOf(
      'wrong.<|end|><|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 20}<|call|>',
      final('It is 42.', 'The tool says 42'),
    );
    const question = wanted({
      call(call) {
        called.push(call);
        return '42';
      },
    });
    const answer = await answerer.answer(question, signal);
    expect(called).toEqual([{ name: 'functions.add', arguments: { a: 20 }, text: '{"a": 20}' }]);
    expect(answer).toMatchObject({ text: 'It is 42.', finish: 'stop', isFinal: true, calls: 1 });
    expect(answer.reasoning).toBe('Wanted: 20 + 22\n= 43. Check: wrong.\n\nThe tool says 42');
    expect(prompts()[1]).toContain('<|message|>42<|end|><|start|>assistant');
    expect(prompts()[1]).toContain('= 43. Check: wrong.');
  });

  it.each([
    [
      'a call that nobody answers',
      'x<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>',
    ],
    ['reasoning alone', 'right.<|return|>'],
  ])('is no answer where it ends in %s', async (_, said) => {
    const { answerer } = answererOf(said);
    const answer = await answerer.answer(wanted(), signal);
    expect(answer).toMatchObject({ text: '', finish: 'stop', isFinal: false, isMalformed: true, calls: 0 });
  });

  it('may be cut off', async () => {
    const { answerer } = answererOf('and so on and so on and so on');
    const answer = await answerer.answer(wanted({ maxTokens: 3 }), signal);
    expect(answer).toMatchObject({ text: '', finish: 'length', isFinal: false, isMalformed: false });
    expect(answer.usage.completionTokens).toBe(3);
  });
});
