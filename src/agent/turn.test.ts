// Turns over a scripted model: what it says is written out, so every way a turn can end is at hand.
import { describe, expect, it } from 'vitest';
import { seedModel } from '../../test/shared.ts';
import { Engine } from '../engine/engine.ts';
import { FakeModel } from '../engine/model.testing.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { HarmonyEncoding } from '../text/harmony/encoding.ts';
import { HeaderGrammar } from '../text/harmony/mask.ts';
import type { Conversation, Message } from '../text/harmony/messages.ts';
import { renderPrompt } from '../text/harmony/render.ts';
import { compileFormat, contentConstraints } from '../text/schema/output-format.ts';
import { tokenizerFrom } from '../text/tokenizer.ts';
import { runTurn, type TurnEvent, type TurnOptions, type TurnResult } from './turn.ts';

const tokenizer = tokenizerFrom(openCheckpoint(seedModel).tokenizer!);
const encoding = new HarmonyEncoding(tokenizer);
const hello: Message = { role: 'user', content: 'hello' };

/** A model that says `text` after the prompt, and what it was asked. */
async function say(
  text: string,
  options: TurnOptions = {},
  messages: readonly Message[] = [hello],
): Promise<{ events: TurnEvent[]; result: TurnResult; told: string; model: FakeModel; engine: Engine }> {
  const conversation: Conversation = { messages };
  const prompt = renderPrompt(encoding, conversation, { dropAnalysis: 'turns' });
  const answer = tokenizer.encodeWithSpecials(text);
  const model = new FakeModel({
    vocab: 1024,
    slidingWindow: 64,
    maxRows: 128,
    script: (length) => answer[length - prompt.length] ?? encoding.ids.return,
  });
  const engine = new Engine(model, { context: 2048, pageTokens: 16, chunkRows: 64, maxSequences: 2 });
  const events: TurnEvent[] = [];
  for await (const event of runTurn(engine, encoding, conversation, { temperature: 0, ...options })) events.push(event);
  const last = events.at(-1);
  if (last?.type !== 'done') throw new Error('no done event');
  const told = events.map((event) => (event.type === 'text' || event.type === 'fallback' ? event.text : '')).join('');
  return { events, result: last.result, told, model, engine };
}

const types = (events: readonly TurnEvent[]): string[] =>
  events.map((event) => ('kind' in event ? `${event.type} ${event.kind}` : event.type));

describe('a turn', () => {
  it('tells reasoning and text as they come, between message borders, and ends with the whole', async () => {
    const { events, result } = await say(
      '<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Hi!<|return|>',
    );
    expect(types(events).filter((type, i, all) => type !== all[i - 1])).toEqual([
      'message-start reasoning',
      'reasoning',
      'message-end reasoning',
      'message-start text',
      'text',
      'message-end text',
      'done',
    ]);
    expect(result).toMatchObject({
      reasoning: 'hm',
      text: 'Hi!',
      finishReason: 'stop',
      ended: 'stop',
      stopString: null,
      wasSteered: false,
      fallback: null,
    });
    expect(result.tokens.at(-1)).toBe(encoding.ids.return);
    expect(result.usage.completionTokens).toBe(result.tokens.length);
    expect(result.usage.reasoningTokens).toBeGreaterThan(0);
    expect(result.history.map(({ channel, content }) => [channel, content])).toEqual([
      ['analysis', 'hm'],
      ['final', 'Hi!'],
    ]);
  });

  it('gives a history that renders to the very tokens that were generated', async () => {
    const text =
      '<|channel|>analysis<|message|>look<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>';
    const { result } = await say(text, { tools: { functions: ['f'] } });
    expect(result.finishReason).toBe('tool_calls');
    expect(result.calls[0]).toMatchObject({ name: 'f', kind: 'function', arguments: { value: { a: 1 } } });
    const prompt = renderPrompt(encoding, { messages: [hello] });
    const answered: Message = {
      role: 'tool',
      name: 'functions.f',
      recipient: 'assistant',
      channel: 'commentary',
      content: '2',
    };
    const next = renderPrompt(encoding, { messages: [hello, ...result.history, answered] }, { dropAnalysis: 'turns' });
    expect(next.slice(0, prompt.length + result.tokens.length)).toEqual([...prompt, ...result.tokens]);
  });

  it('re-reads only new tokens in a tool loop, and after an answer only from the dropped reasoning on', async () => {
    const call =
      '<|channel|>analysis<|message|>look it up, look it up<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>';
    const final =
      '<|channel|>analysis<|message|>now I know<|end|><|start|>assistant<|channel|>final<|message|>It is 2.<|return|>';
    const prompts: number[][] = [];
    const answers: number[][] = [];
    const model = new FakeModel({
      vocab: 1024,
      slidingWindow: 32,
      maxRows: 128,
      script: (length) => answers.at(-1)![length - prompts.at(-1)!.length],
    });
    const engine = new Engine(model, { context: 2048, pageTokens: 16, chunkRows: 64, maxSequences: 1 });
    const messages: Message[] = [
      { role: 'system', content: [{ type: 'system' }] },
      { role: 'user', content: 'a long question, '.repeat(20) },
    ];
    const ask = async (text: string): Promise<TurnResult> => {
      prompts.push(renderPrompt(encoding, { messages }, { dropAnalysis: 'turns' }));
      answers.push(tokenizer.encodeWithSpecials(text));
      let result: TurnResult | null = null;
      for await (const event of runTurn(engine, encoding, { messages }, { temperature: 0 })) {
        if (event.type === 'done') result = event.result;
      }
      messages.push(...result!.history);
      return result!;
    };
    await ask(call);
    messages.push({ role: 'tool', name: 'functions.f', recipient: 'assistant', channel: 'commentary', content: '2' });
    const second = await ask(final);
    // Everything but the terminator that ended the first step, whose keys nobody needed yet.
    expect(second.usage.cachedTokens).toBe(prompts[0].length + answers[0].length - 1);
    messages.push({ role: 'user', content: 'thanks' });
    const third = await ask('<|channel|>final<|message|>Welcome.<|return|>');
    const kept = prompts[2].findIndex((id, i) => id !== [...prompts[1], ...answers[1]][i]);
    expect(kept).toBe(prompts[0].length + 1); // up to the channel marker of the first reasoning
    expect(third.usage.cachedTokens).toBe(kept);
    engine.audit();
  });

  it('ends at a stop string wherever tokens are cut, tells nothing of it, and computes no token more', async () => {
    const text =
      '<|channel|>analysis<|message|>END is fine here<|end|><|start|>assistant<|channel|>final<|message|>one two END three<|return|>';
    const { result, told } = await say(text, { stop: ['END'] });
    expect(result).toMatchObject({ text: 'one two ', finishReason: 'stop', ended: 'stop-string', stopString: 'END' });
    expect(told).toBe('one two ');
    expect(result.reasoning).toBe('END is fine here');
    expect(result.history.at(-1)).toMatchObject({ content: 'one two ' });
    expect(result.history.at(-1)!.ids).toBeUndefined();
    expect(tokenizer.decode(result.tokens).endsWith('END')).toBe(true);
    const unfinished = await say('<|channel|>final<|message|>nearly EN<|return|>', { stop: ['END'] });
    expect(unfinished.told).toBe('nearly EN');
    const atOnce = await say('<|channel|>final<|message|>END<|return|>', { stop: ['END'] });
    expect(atOnce.result).toMatchObject({ text: '', fallback: null, finishReason: 'stop' });
  });

  it('leads the model to its final message when the reasoning budget is spent', async () => {
    const text = `<|channel|>analysis<|message|>${'hm '.repeat(50)}<|end|>`;
    const { result } = await say(text, { reasoningBudget: 10, maxTokens: 40 });
    expect(result.wasSteered).toBe(true);
    const said = tokenizer.decode(result.tokens);
    expect(said.slice(0, said.indexOf('<|end|>') + 60)).toMatch(
      /^<\|channel\|>analysis<\|message\|>[hm ]+<\|end\|><\|start\|>assistant<\|channel\|>final<\|message\|>/,
    );
    expect(result.history.map(({ channel }) => channel)).toEqual(['analysis', 'final']);
    const none = await say('hello<|return|>', { reasoningBudget: 0, maxTokens: 10 });
    expect(tokenizer.decode(none.result.tokens)).toMatch(/^<\|channel\|>final<\|message\|>/);
    await expect(say('', { reasoningBudget: -1 })).rejects.toThrow('the reasoning budget is -1');
  });

  it('breaks a loop in the reasoning by leading on, and one in the answer by ending it', async () => {
    const loop = { longestPeriod: 8, leastTokens: 20, repeats: 4 };
    const thought = await say(`<|channel|>analysis<|message|>${'ab '.repeat(300)}<|return|>`, {
      loopGuard: loop,
      maxTokens: 120,
    });
    expect(thought.result.wasSteered).toBe(true);
    expect(thought.result.history.map(({ channel }) => channel)).toEqual(['analysis', 'final']);
    const said = await say(`<|channel|>final<|message|>${'ab '.repeat(300)}<|return|>`, { loopGuard: loop });
    expect(said.result).toMatchObject({ finishReason: 'length', ended: 'loop', wasSteered: false });
    expect(said.result.tokens.length).toBeLessThan(60);
    const free = await say(`<|channel|>final<|message|>${'ab '.repeat(100)}<|return|>`, { loopGuard: false });
    expect(free.result.finishReason).toBe('stop');
  });

  it('ends with what there is when aborted, and frees the engine', async () => {
    const controller = new AbortController();
    const model = new FakeModel({ vocab: 1024, maxRows: 128 });
    const engine = new Engine(model, { context: 2048, chunkRows: 64, maxSequences: 1 });
    const events: TurnEvent[] = [];
    const turn = runTurn(
      engine,
      encoding,
      { messages: [hello] },
      { signal: controller.signal, logprobs: true, seed: 1 },
    );
    for await (const event of turn) {
      events.push(event);
      if (events.filter(({ type }) => type === 'token').length === 5) controller.abort();
    }
    const last = events.at(-1)!;
    expect(last).toMatchObject({ type: 'done', result: { finishReason: 'aborted', ended: 'aborted' } });
    expect(engine.stats().running).toBe(0);
    engine.audit();
  });

  it('says that the limit was reached, and keeps the half-said', async () => {
    const { result } = await say('<|channel|>final<|message|>one two three four five<|return|>', { maxTokens: 8 });
    expect(result).toMatchObject({ finishReason: 'length', ended: 'length' });
    expect(result.text.startsWith('one')).toBe(true);
    expect(result.history).toHaveLength(1);
    expect(result.history[0].ids).toBeUndefined();
  });

  it('never throws and never loses text, whatever comes out of the model', async () => {
    const model = new FakeModel({ vocab: 1024, maxRows: 128 });
    const engine = new Engine(model, { context: 512, chunkRows: 64, maxSequences: 4 });
    const turns = Array.from({ length: 60 }, async (_, seed) => {
      let told = '';
      const options = { seed, maxTokens: 60, temperature: 2, logitBias: new Map([[encoding.ids.message, 3]]) };
      for await (const event of runTurn(engine, encoding, { messages: [hello] }, options)) {
        if (event.type === 'text' || event.type === 'fallback') told += event.text;
        if (event.type === 'done') {
          expect(event.result.text).toBe(told);
          expect(['stop', 'length', 'tool_calls']).toContain(event.result.finishReason);
          if (event.result.finishReason === 'stop') expect(told).not.toBe('');
        }
      }
    });
    await Promise.all(turns);
    engine.audit();
  });

  it('under a grammar writes only well-formed messages to tools that exist, also when it has to stop reasoning', async () => {
    const model = new FakeModel({ vocab: 1024, maxRows: 128 });
    const engine = new Engine(model, { context: 512, chunkRows: 64, maxSequences: 4 });
    const free = new HeaderGrammar(encoding, 1024, { recipients: ['functions.add', 'functions.find'] });
    const forced = new HeaderGrammar(encoding, 1024, { recipients: ['functions.add'], mustCall: true });
    const logitBias = new Map([encoding.ids.end, encoding.ids.return, encoding.ids.call].map((id) => [id, 2]));
    const turns = Array.from({ length: 60 }, async (_, seed) => {
      const grammar = seed % 2 === 0 ? free : forced;
      const options = { seed, maxTokens: 100, logitBias, grammar, reasoningBudget: seed % 3 === 0 ? 5 : undefined };
      for await (const event of runTurn(engine, encoding, { messages: [hello] }, options)) {
        if (event.type !== 'done') continue;
        const { problems, finishReason, calls, fallback } = event.result;
        expect(finishReason === 'length' ? [] : problems).toEqual([]);
        if (finishReason !== 'length' && grammar === forced) expect(calls[0].recipient).toBe('functions.add');
        expect(fallback).toBeNull();
      }
    });
    await Promise.all(turns);
    engine.audit();
  });

  it('holds the answer and calls to their schemas, whatever comes out of the model', async () => {
    const model = new FakeModel({ vocab: 1024, maxRows: 128 });
    const engine = new Engine(model, { context: 512, chunkRows: 64, maxSequences: 4 });
    const schemaOf = (key: string) => {
      const schema = { type: 'object', properties: { [key]: { enum: [1, 2, 'three'] } }, required: [key] };
      return compileFormat({ kind: 'json-schema', schema }, tokenizer.vocabulary);
    };
    const withTool = new HeaderGrammar(encoding, 1024, { recipients: ['functions.add'] });
    const without = new HeaderGrammar(encoding, 1024);
    const content = contentConstraints(schemaOf('answer'), new Map([['functions.add', schemaOf('sum')]]));
    const ended = new Set<string>();
    const turns = Array.from({ length: 40 }, async (_, seed) => {
      const grammar = seed % 2 === 0 ? withTool : without;
      const options = { seed, maxTokens: 150, grammar, content, reasoningBudget: 5 };
      for await (const event of runTurn(engine, encoding, { messages: [hello] }, options)) {
        if (event.type !== 'done' || event.result.finishReason === 'length') continue;
        const { problems, finishReason, calls, text } = event.result;
        ended.add(finishReason);
        expect(problems).toEqual([]);
        const value: unknown = finishReason === 'stop' ? JSON.parse(text) : calls[0].arguments.value;
        const key = finishReason === 'stop' ? 'answer' : 'sum';
        expect([1, 2, 'three']).toContain((value as Record<string, unknown>)[key]);
      }
    });
    await Promise.all(turns);
    expect([...ended].sort()).toEqual(['stop', 'tool_calls']);
    engine.audit();
    await expect(say('x', { content })).rejects.toMatchObject({ code: 'invalid-request' }); // without a grammar
  });

  it('throws for what cannot run', async () => {
    const long = { role: 'user', content: 'word '.repeat(4000) } as const;
    await expect(say('x', {}, [long])).rejects.toMatchObject({ code: 'context-overflow' });
    await expect(say('x', { temperature: -1 })).rejects.toMatchObject({ code: 'invalid-request' });
    await expect(say('x', { stop: [''] })).rejects.toMatchObject({ code: 'invalid-request' });
  });
});
