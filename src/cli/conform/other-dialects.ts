// Anthropic's Messages and Ollama's chat, as dialects.ts has the others.

import type { Dialect, Said } from './dialects.ts';
import { demand, type Loose, list, numberOf, parse, textOf } from './target.ts';

export const messages: Dialect = {
  name: 'messages',
  path: '/v1/messages',
  body: ({ text, tools, toolChoice, strict, effort, schema, maxTokens }) => ({
    max_tokens: maxTokens ?? 800,
    messages: [{ role: 'user', content: text }],
    thinking: { type: 'enabled', budget_tokens: 4096 },
    ...(tools === undefined
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            ...{ name, description, input_schema: parameters },
            ...(strict === undefined ? {} : { strict }),
          })),
        }),
    ...(toolChoice === undefined
      ? {}
      : {
          tool_choice:
            toolChoice === 'none'
              ? { type: 'none' }
              : toolChoice === 'required'
                ? { type: 'any' }
                : { type: 'tool', name: toolChoice.name },
        }),
    ...(effort === undefined && schema === undefined
      ? {}
      : {
          output_config: {
            ...(effort === undefined ? {} : { effort }),
            ...(schema === undefined ? {} : { format: { type: 'json_schema', schema } }),
          },
        }),
  }),
  goOn(question, said, result) {
    const { messages: before, ...rest } = this.body(question) as { messages: object[] };
    const content = [{ type: 'tool_result', tool_use_id: said.calls[0]?.id, content: result }];
    return {
      ...rest,
      messages: [...before, { role: 'assistant', content: said.raw }, { role: 'user', content }],
    };
  },
  whole: (message) => {
    demand(textOf(message['type']) === 'message' && textOf(message['role']) === 'assistant', 'no message');
    return messageSaid(list(message['content']), textOf(message['stop_reason']), message['usage']);
  },
  streamed: ({ events }) => {
    const told = events.filter(({ data }) => textOf(data['type']) !== 'ping');
    demand(
      told.every(({ event, data }) => event === textOf(data['type'])),
      'an event named differently from its type',
    );
    demand(textOf(told[0]?.data['type']) === 'message_start', 'the stream does not begin with message_start');
    demand(textOf(told.at(-1)?.data['type']) === 'message_stop', 'the stream does not end with message_stop');
    const content: Record<string, unknown>[] = [];
    const given: string[] = [];
    let open = -1;
    let reason = '';
    for (const { data } of told) {
      const type = textOf(data['type']);
      if (type === 'message_delta') reason = textOf(data['delta']?.['stop_reason']);
      if (!type.startsWith('content_block')) continue;
      const index = numberOf(data['index']);
      if (type === 'content_block_start') {
        demand(open < 0 && index === content.length, 'a part begins inside another, or out of turn');
        open = index;
        content.push({ ...(data['content_block'] as object) });
        given.push('');
      } else {
        demand(index === open, 'a piece of a part that is not open');
        if (type === 'content_block_stop') open = -1;
        const part = content[index]!;
        const { delta } = data as Loose;
        for (const field of ['text', 'thinking', 'signature']) {
          if (delta?.[field] !== undefined) part[field] = `${String(part[field] ?? '')}${textOf(delta[field])}`;
        }
        given[index] += textOf(delta?.['partial_json']);
      }
    }
    demand(open < 0, 'a part that does not end');
    for (const [i, part] of content.entries()) if (part['type'] === 'tool_use') part['input'] = parse(given[i] || '{}');
    return messageSaid(content as unknown as readonly Loose[], reason, told[0]!.data['message']?.['usage']);
  },
};

function messageSaid(content: readonly Loose[], reason: string, usage: Loose | undefined): Said {
  const calls = content.filter((part) => textOf(part['type']) === 'tool_use');
  const right = calls.length > 0 ? ['tool_use'] : ['end_turn', 'max_tokens'];
  demand(right.includes(reason), `stop_reason is ${reason}`);
  const join = (field: string): string => content.map((part) => textOf(part[field])).join('');
  return {
    text: join('text'),
    reasoning: join('thinking'),
    calls: calls.map((part) => ({ id: textOf(part['id']), name: textOf(part['name']), arguments: part['input']! })),
    promptTokens: numberOf(usage?.['input_tokens']) + (numberOf(usage?.['cache_read_input_tokens']) || 0),
    cachedTokens: numberOf(usage?.['cache_read_input_tokens']),
    isCut: reason === 'max_tokens',
    raw: content,
  };
}

export const ollama: Dialect = {
  name: 'ollama',
  path: '/api/chat',
  body: ({ text, tools, effort, schema, maxTokens }) => ({
    messages: [{ role: 'user', content: text }],
    ...(tools === undefined
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            type: 'function',
            function: { name, description, parameters },
          })),
        }),
    ...(effort === undefined ? {} : { think: effort }),
    ...(schema === undefined ? {} : { format: schema }),
    ...(maxTokens === undefined ? {} : { options: { num_predict: maxTokens } }),
  }),
  goOn(question, said, result) {
    const { messages: before, ...rest } = this.body(question) as { messages: object[] };
    const tool = { role: 'tool', tool_name: said.calls[0]?.name, content: result };
    return { ...rest, stream: false, messages: [...before, ...said.raw, tool] };
  },
  whole: (answer) => ollamaSaid([answer]),
  streamed: ({ events }) => ollamaSaid(events.map(({ data }) => data)),
};

function ollamaSaid(parts: readonly Loose[]): Said {
  const last = parts.at(-1)!;
  demand(
    parts.every((part, i) => (part['done'] as unknown) === (i === parts.length - 1)),
    'done is not told by the last part alone',
  );
  demand(numberOf(last['eval_count']) > 0 && numberOf(last['prompt_eval_count']) >= 0, 'the last part has no counts');
  const join = (field: string): string => parts.map(({ message }) => textOf(message?.[field])).join('');
  const calls = parts.flatMap(({ message }) => list(message?.['tool_calls']));
  return {
    text: join('content'),
    reasoning: join('thinking'),
    calls: calls.map((call) => ({
      id: '',
      name: textOf(call['function']?.['name']),
      arguments: call['function']?.['arguments'] as Loose,
    })),
    promptTokens: numberOf(last['prompt_eval_count']),
    cachedTokens: Number.NaN, // it has no word for that
    isCut: textOf(last['done_reason']) === 'length',
    raw: [
      {
        role: 'assistant',
        content: join('content'),
        thinking: join('thinking'),
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
      },
    ],
  };
}
