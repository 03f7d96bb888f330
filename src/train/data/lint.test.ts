// Every kind of bad line is named with its line and reason; good ones of both formats become examples.
import { describe, expect, it } from 'vitest';
import { smallVocabulary } from './data.testing.ts';
import { readUserData } from './user-data.ts';

const { encoding, tokenizer } = smallVocabulary();
const read = (lines: readonly unknown[], longest = 512) =>
  readUserData(encoding, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'), {
    longest,
  });
const user = { role: 'user', content: 'Hi' };
const final = { role: 'assistant', channel: 'final', content: 'Hello!' };
const call = {
  role: 'assistant',
  channel: 'commentary',
  recipient: 'functions.f',
  content_type: '<|constrain|>json',
  content: '{}',
};
const result = { role: 'tool', name: 'functions.f', recipient: 'assistant', channel: 'commentary', content: '1' };

describe('linting', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['broken JSON', '{"messages": [', 'json', /no JSON/],
    ['no object', '[1]', 'json', /no JSON object/],
    ['no messages', { text: 'x' }, 'shape', /messages is missing/],
    ['a message that is no object', { messages: ['x'] }, 'shape', /message 1/],
    ['an unknown role', { messages: [{ role: 'bot', content: 'x' }] }, 'role', /message 1 has the role "bot"/],
    ['content that is a number', { messages: [user, { ...final, content: 3 }] }, 'shape', /content/],
    ['an unknown channel', { messages: [user, { ...final, channel: 'thoughts' }] }, 'channel', /"thoughts"/],
    ['a missing channel', { messages: [user, { ...call, channel: undefined }] }, 'channel', /no channel/],
    [
      'analysis after final',
      { messages: [user, final, { ...final, channel: 'analysis' }] },
      'order',
      /after the final/,
    ],
    ['two finals', { messages: [user, final, final] }, 'order', /second final/],
    [
      'a late system message',
      { messages: [user, final, { role: 'system', content: 'x' }, user, final] },
      'order',
      /first only/,
    ],
    ['a call on final', { messages: [user, { ...call, channel: 'final' }, result, final] }, 'terminator', /<\|end\|>/],
    ['going on after a call', { messages: [user, call, final] }, 'terminator', /<\|call\|>/],
    [
      'a recipient in the text',
      { messages: [user, { ...final, content: 'to=functions.f {}' }] },
      'terminator',
      /recipient/,
    ],
    ['a result of nothing', { messages: [user, result, final] }, 'call', /not called/],
    [
      'a result of another tool',
      { messages: [user, call, { ...result, name: 'functions.g' }, final] },
      'call',
      /functions\.g/,
    ],
    ['a call without result', { messages: [user, call, user, final] }, 'call', /not answered/],
    ['arguments that are no JSON', { messages: [user, { ...call, content: '{' }, result, final] }, 'call', /no JSON/],
    ['markers in text', { messages: [user, { ...final, content: 'a<|end|>' }] }, 'markers', /<\|end\|>/],
    ['nothing of the assistant', { messages: [user] }, 'empty', /nothing would be learned/],
    [
      'two calls at once',
      {
        messages: [user, { role: 'assistant', tool_calls: [{ function: { name: 'a' } }, { function: { name: 'b' } }] }],
      },
      'shape',
      /one call/,
    ],
    ['half a pair', { prompt: [user], chosen: [final] }, 'shape', /rejected is missing/],
  ])('names %s', (_, line, code, message) => {
    const { problems, good } = read([{ messages: [user, final] }, line]);
    expect(good).toBe(1);
    const wrong = problems.filter(({ severity, line: at }) => severity === 'error' && at === 2);
    expect(wrong.map((problem) => problem.code)).toContain(code);
    expect(wrong.map((problem) => problem.message).join('\n')).toMatch(message);
  });

  it('names conversations that are too long, and doubles', () => {
    const long = { messages: [user, { ...final, content: 'word '.repeat(300) }] };
    const { problems, good } = read([long, { messages: [user, final] }, '', { messages: [user, final] }], 120);
    expect(problems).toEqual([
      expect.objectContaining({ line: 1, code: 'length', message: expect.stringMatching(/at most 120/) }),
      expect.objectContaining({ line: 4, code: 'duplicate', severity: 'warning' }),
    ]);
    expect(good).toBe(2);
  });

  it('reads OpenAI chats: thinking, tools, calls and results', () => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }];
    const { conversations, problems } = read([
      {
        ...{ tools, reasoning_effort: 'high' },
        messages: [
          { role: 'system', content: 'Be kind.' },
          user,
          {
            role: 'assistant',
            content: null,
            thinking: 'I call f.',
            tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
          },
          { role: 'tool', tool_call_id: 'c1', content: '1' },
          { role: 'assistant', content: 'One.' },
        ],
      },
    ]);
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    const text = tokenizer.decode(conversations[0]!.example.ids);
    expect(text).toContain('Reasoning: high');
    expect(text).toContain('# Instructions\n\nBe kind.');
    expect(text).toContain('<|channel|>analysis<|message|>I call f.<|end|>');
    expect(text).toContain('<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>');
    expect(text).toMatch(/One\.<\|return\|>$/);
  });

  it('learns each turn with its reasoning, one example a turn', () => {
    const thought = { role: 'assistant', channel: 'analysis', content: 'Hm.' };
    const { conversations } = read([{ messages: [user, thought, final, user, thought, final] }]);
    expect(conversations).toHaveLength(2);
    expect(read([{ messages: [user, final, user, final] }]).conversations).toHaveLength(1);
  });

  it('reads pairs of preference', () => {
    const { pairs, problems } = read([
      { prompt: [user], chosen: [final], rejected: [{ ...final, content: 'Go away.' }] },
    ]);
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(tokenizer.decode(pairs[0]!.rejected.ids)).toContain('Go away.');
  });
});
