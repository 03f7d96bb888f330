// Examples and batches: what is learned is exactly what the assistant writes, slips and earlier turns are not; batches hold
// whole conversations within the budget; the n-th example depends on nothing but n.
import { describe, expect, it } from 'vitest';
import type { Message } from '../../text/harmony/messages.ts';
import { batchOf, packBatch } from './batches.ts';
import { smallVocabulary } from './data.testing.ts';
import { DocumentMixture } from './documents.ts';
import { conversationExample, documentExample, type Example, promptIds } from './examples.ts';
import { TaskMixture } from './mixture.ts';

const { tokenizer, encoding } = smallVocabulary();
const learned = ({ ids, mask }: Example): string => tokenizer.decode([...ids].filter((_, i) => mask[i] === 1));

const two: Message[] = [
  { role: 'system', content: [{ type: 'system', identity: 'You are a tiny gpt-oss model.', knowledgeCutoff: null }] },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', channel: 'final', content: 'Hello!' },
  { role: 'user', content: '1 + 1?' },
  { role: 'assistant', channel: 'analysis', content: '1+1=3, no: 2' },
  { role: 'assistant', channel: 'final', content: '2' },
];

describe('an example', () => {
  it('learns the last turn: headers, terminators and all', () => {
    const ending =
      '<|channel|>analysis<|message|>1+1=3, no: 2<|end|><|start|>assistant<|channel|>final<|message|>2<|return|>';
    expect(learned(conversationExample(encoding, two))).toBe(ending);
    expect(learned(conversationExample(encoding, two, { turns: 'all' }))).toBe(
      `<|channel|>final<|message|>Hello!${ending}`,
    );
  });

  it('does not learn a slip', () => {
    const example = conversationExample(encoding, two, { unlearned: [{ message: 4, start: 4, end: 5 }] });
    expect(learned(example)).toContain('1+1=, no: 2');
  });

  it('learns calls, never results', () => {
    const messages: Message[] = [
      ...two.slice(0, 2),
      {
        role: 'assistant',
        channel: 'commentary',
        recipient: 'functions.f',
        contentType: '<|constrain|>json',
        content: '{"a": 1}',
      },
      { role: 'tool', name: 'functions.f', recipient: 'assistant', channel: 'commentary', content: 'secret' },
      { role: 'assistant', channel: 'final', content: 'Done.' },
    ];
    expect(learned(conversationExample(encoding, messages))).toBe(
      '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|><|channel|>final<|message|>Done.<|return|>',
    );
  });

  it('begins like the prompt that is asked', () => {
    const prompt = promptIds(encoding, two.slice(0, 4));
    const { ids, mask } = conversationExample(encoding, two);
    expect([...ids.subarray(0, prompt.length)]).toEqual(prompt);
    expect(mask.indexOf(1)).toBe(prompt.length);
  });

  it('of a document learns all but the first token', () => {
    const { ids, mask } = documentExample(encoding, 'one two');
    expect(ids.at(-1)).toBe(encoding.endOfText);
    expect([...mask]).toEqual([0, ...Array.from({ length: ids.length - 1 }, () => 1)]);
  });
});

describe('a mixture', () => {
  const mixture = new TaskMixture(encoding, { seed: 3 });

  it('gives the n-th example whatever was asked before', () => {
    const forward = Array.from({ length: 9 }, (_, n) => mixture.example(n));
    const other = new TaskMixture(encoding, { seed: 3 });
    for (const n of [8, 0, 4, 3]) expect([...other.example(n).ids]).toEqual([...forward[n]!.ids]);
    expect([...new TaskMixture(encoding, { seed: 4 }).example(0).ids]).not.toEqual([...forward[0]!.ids]);
  });

  it('asks each problem at all three levels', () => {
    for (let problem = 0; problem < 6; problem++) {
      const [a, b, c] = [0, 1, 2].map((i) => mixture.conversation(problem * 3 + i));
      expect(new Set([a, b, c].map((each) => each!.setting.level)).size).toBe(3);
      expect(new Set([a, b, c].map((each) => each!.item.key)).size).toBe(1);
    }
  });

  it('calls only what is declared', () => {
    for (let n = 0; n < 150; n++) {
      const { messages } = mixture.conversation(n);
      const prompt = tokenizer.decode(promptIds(encoding, messages));
      for (const { recipient } of messages) {
        if (recipient === undefined || recipient === 'assistant') continue;
        const name = recipient.replace('functions.', '');
        expect(prompt).toContain(recipient === 'python' ? '## python' : `type ${name} =`);
      }
    }
  });

  it('writes documents without any marker', () => {
    const documents = new DocumentMixture({ seed: 1 });
    const texts = Array.from({ length: 40 }, (_, n) => documents.document(n));
    expect(texts.filter((text) => text.includes('<|') || text.trim() === '')).toEqual([]);
    expect(documents.document(7)).toBe(texts[7]);
  });
});

describe('an answer given at once', () => {
  it('weighs twice as much as one that is reasoned out, token by token', () => {
    const mixture = new TaskMixture(encoding, { seed: 4 });
    const weightsOf = (n: number): Set<number> => new Set(mixture.example(n).mask);
    const levels = Array.from({ length: 30 }, (_, n) => [mixture.conversation(n).setting.level, weightsOf(n)] as const);
    for (const [level, weights] of levels) expect(weights).toEqual(new Set([0, level === 'low' ? 2 : 1]));
  });
});

describe('a batch', () => {
  const mixture = new TaskMixture(encoding, { seed: 9 });
  const examples = Array.from({ length: 60 }, (_, n) => mixture.example(n));

  it('holds whole examples and nearly fills its budget', () => {
    const { batch, chosen, fill, trainedRows } = packBatch(examples, 6_000);
    expect(fill).toBeGreaterThan(0.97);
    expect(fill).toBeLessThanOrEqual(1);
    const ids = chosen.flatMap((i) => [...examples[i]!.ids.subarray(0, -1)]);
    expect([...batch.ids]).toEqual(ids);
    expect(batch.documentStarts.length).toBe(chosen.length);
    expect(batch.weights.reduce((a, b) => a + b)).toBeCloseTo(1, 3);
    expect(trainedRows).toBe(
      chosen.reduce((sum, i) => sum + examples[i]!.mask.filter((learned) => learned > 0).length, 0),
    );
  });

  it('gives each example its own weight where asked', () => {
    const { weights, targets, documentStarts } = batchOf(examples.slice(0, 2), [0.5, -1]);
    const second = documentStarts[1]!;
    expect(new Set(weights.subarray(0, second))).toEqual(new Set([0, 0.5]));
    expect(new Set(weights.subarray(second))).toEqual(new Set([0, -1]));
    expect(targets[second]).toBe(examples[1]!.ids[1]);
  });
});
