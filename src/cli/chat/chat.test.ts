import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GptOssError } from '../../errors.ts';
import type { Reply, Speaker } from '../speaker.ts';
import { Chat, type ChatOptions } from './chat.ts';
import { ChatInput } from './chat-input.ts';
import type { Conversation } from './conversation.ts';
import { MessageLines } from './message-lines.ts';

function collector() {
  const written = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({
    write: (text: string) => {
      written[name] += text;
    },
    isTerminal: false,
    colour: false,
    columns: 80,
    rows: 24,
  });
  return { written, terminal: { out: output('out'), err: output('err') } };
}

const OPTIONS: ChatOptions = {
  effort: null,
  system: null,
  developer: null,
  sampling: { stop: [] },
  hideReasoning: false,
  verbose: false,
};

/** Says back what it was asked, in two pieces, after thinking. */
class Echo implements Speaker {
  readonly name = 'echo';
  readonly heard: Conversation[] = [];
  citations: Reply['citations'] = [];
  /** Runs between the two pieces. */
  middle: () => Promise<void> = async () => {};

  async reply(...[conversation, , listener, signal]: Parameters<Speaker['reply']>): Promise<Reply> {
    this.heard.push(structuredClone(conversation));
    const text = `you said ${conversation.said.at(-1)!.text}`;
    listener.reasoning('hm');
    listener.text(text.slice(0, 4));
    await this.middle();
    const told = signal.aborted ? text.slice(0, 4) : text;
    listener.text(told.slice(4));
    const usage = { promptTokens: 5, cachedTokens: 0, completionTokens: 7, reasoningTokens: 1 };
    const timings = { promptMs: 1, firstTokenMs: 2, decodeMs: 10 };
    const finishReason = signal.aborted ? 'aborted' : 'stop';
    return {
      text: told,
      reasoning: 'hm',
      toolCalls: [],
      toolRuns: [],
      citations: this.citations,
      tokens: [1],
      finishReason,
      isLoop: false,
      history: [],
      usage,
      timings,
    };
  }
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gptoss-chat-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a chat', () => {
  it('sends the whole conversation each turn and keeps analysis out of the text', async () => {
    const { written, terminal } = collector();
    const speaker = new Echo();
    const chat = new Chat(speaker, terminal, OPTIONS);
    await chat.handle('one');
    await chat.handle('two');
    expect(speaker.heard[1]!.said).toEqual([
      { role: 'user', text: 'one' },
      { role: 'assistant', text: 'you said one', reasoning: 'hm', history: [] },
      { role: 'user', text: 'two' },
    ]);
    expect(written.out).toBe('you said one\nyou said two\n');
    expect(written.err).toBe('hm\n\nhm\n\n');
  });

  it('changes effort, system message and instructions between turns', async () => {
    const { written, terminal } = collector();
    const speaker = new Echo();
    const chat = new Chat(speaker, terminal, OPTIONS);
    for (const line of [
      '/effort high',
      '/system I am S.',
      '/developer Be brief.\nReally.',
      '/effort huge',
      '/effort',
      'hi',
    ]) {
      expect(await chat.handle(line)).toBe(true);
    }
    expect(speaker.heard[0]).toMatchObject({ effort: 'high', system: 'I am S.', developer: 'Be brief.\nReally.' });
    expect(written.err).toContain('gptoss: invalid-request: /effort huge');
  });

  it('answers the last message again, and forgets everything when asked', async () => {
    const { terminal } = collector();
    const speaker = new Echo();
    const chat = new Chat(speaker, terminal, OPTIONS);
    await chat.handle('/retry');
    await chat.handle('one');
    await chat.handle('/retry');
    await chat.handle('/reset');
    await chat.handle('two');
    expect(speaker.heard.map((each) => each.said.map((message) => message.text))).toEqual([['one'], ['one'], ['two']]);
  });

  it('saves a conversation, loads it elsewhere and goes on; never writes over a foreign file', async () => {
    const { written, terminal } = collector();
    const file = join(folder, 'talk.json');
    const chat = new Chat(new Echo(), terminal, OPTIONS);
    await chat.handle('/effort low');
    await chat.handle('one');
    await chat.handle(`/save ${file}`);
    await chat.handle('two');
    await chat.handle('/save');
    const speaker = new Echo();
    const other = new Chat(speaker, terminal, OPTIONS);
    await other.handle(`/save ${file}`);
    expect(written.err).toContain('exists already');
    await other.handle(`/load ${file}`);
    await other.handle('three');
    expect(speaker.heard[0]).toMatchObject({ effort: 'low' });
    expect(speaker.heard[0]!.said.map((message) => message.text)).toEqual([
      'one',
      'you said one',
      'two',
      'you said two',
      'three',
    ]);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ kind: 'gptoss-conversation', model: 'echo' });
  });

  it.each([
    'not json',
    '[]',
    '{"kind":"gptoss-conversation","version":1}',
    '{"kind":"gptoss-conversation","version":1,"effort":null,"messages":[{"role":"system","text":"x"}]}',
    '{"kind":"gptoss-conversation","version":1,"effort":null,"messages":[{"role":"user","text":7}]}',
    '{"kind":"gptoss-conversation","version":1,"effort":"huge","messages":[]}',
  ])('refuses to load %s with one line and goes on', async (content) => {
    const { written, terminal } = collector();
    const file = join(folder, 'bad.json');
    writeFileSync(file, content);
    const chat = new Chat(new Echo(), terminal, OPTIONS);
    expect(await chat.handle(`/load ${file}`)).toBe(true);
    expect(written.err).toMatch(/^gptoss: invalid-request: .*\n$/);
  });

  it('stops an answer when interrupted and keeps what was said', async () => {
    const { written, terminal } = collector();
    const speaker = new Echo();
    const chat = new Chat(speaker, terminal, OPTIONS);
    speaker.middle = async () => {
      expect(chat.interrupt()).toBe(true);
    };
    expect(chat.interrupt()).toBe(false);
    expect(await chat.handle('one')).toBe(true);
    speaker.middle = async () => {};
    await chat.handle('two');
    expect(written.out).toBe('you \nyou said two\n');
    expect(written.err).toContain('stopped');
    expect(speaker.heard[1]!.said[1]).toEqual({ role: 'assistant', text: 'you ', reasoning: 'hm', history: [] });
  });

  it('takes a message back when answering it failed', async () => {
    const { written, terminal } = collector();
    const speaker = new Echo();
    const chat = new Chat(speaker, terminal, OPTIONS);
    speaker.middle = () => Promise.reject(new GptOssError('context-overflow', 'too long; expected less; shorten it'));
    await chat.handle('one');
    speaker.middle = async () => {};
    await chat.handle('two');
    expect(written.err).toContain('gptoss: context-overflow: too long; expected less; shorten it\n');
    expect(speaker.heard[1]!.said).toEqual([{ role: 'user', text: 'two' }]);
  });

  it('prints no escape sequence that a model or a file says', async () => {
    const { written, terminal } = collector();
    const chat = new Chat(new Echo(), terminal, OPTIONS);
    await chat.handle('\x1b]0;owned\x07 \x1b[2J');
    await chat.handle('/nosuch');
    await chat.handle('/load \x1b[2J/nowhere');
    expect(written.out + written.err).not.toMatch(/\x1b|\x07/);
    expect(written.err).toContain('no command /nosuch');
  });

  it('ends with /quit', async () => {
    const { terminal } = collector();
    expect(await new Chat(new Echo(), terminal, OPTIONS).handle(' /quit ')).toBe(false);
  });
});

describe('lines of a message', () => {
  const messages = (...lines: string[]): string[] => {
    const assembler = new MessageLines();
    return lines.map((line) => assembler.push(line)).filter((message) => message !== null);
  };

  it('go on after a backslash and between fences', () => {
    expect(messages('one')).toEqual(['one']);
    expect(messages('one\\', 'two', 'three')).toEqual(['one\ntwo', 'three']);
    expect(messages('see', '```js', 'a\\', '', 'b', '```', 'end')).toEqual(['see', '```js\na\\\n\nb\n```', 'end']);
    expect(messages('a path C:\\\\')).toEqual(['a path C:\\\\']);
  });

  it('go on while they are being pasted', () => {
    const assembler = new MessageLines();
    assembler.pasting = true;
    expect([assembler.push('one'), assembler.push('two')]).toEqual([null, null]);
    assembler.pasting = false;
    expect(assembler.push('three')).toBe('one\ntwo\nthree');
    expect(assembler.isOpen).toBe(false);
  });
});

describe('input from a pipe', () => {
  it('is read message by message, the last one even without a line feed', async () => {
    const { terminal, written } = collector();
    const stream = new PassThrough();
    const input = new ChatInput(stream as unknown as NodeJS.ReadStream, terminal.err, () => {});
    stream.end('one\ntwo\\\nthree\n```\nfour');
    const got: (string | null)[] = [];
    do got.push(await input.next());
    while (got.at(-1) !== null);
    expect(got).toEqual(['one', 'two\nthree', '```\nfour', null]);
    expect(written).toEqual({ out: '', err: '' });
  });
});
