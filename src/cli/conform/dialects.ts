// Four dialects as one kind of thing, so that a case is written once and asked through each of them: how a question, tools,
// a schema and an effort are put, and what a whole or streamed answer says, with its form checked on the way.
// Next: cases.ts.

import { demand, type EventStream, type Loose, list, numberOf, parse, type Target, textOf } from './target.ts';

export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly parameters: object;
}

export interface Question {
  readonly text: string;
  readonly tools?: readonly Tool[];
  /** `required`, or one of them by its name. */
  readonly toolChoice?: 'none' | 'required' | { readonly name: string };
  /** Arguments have to follow their schemas, where the dialect can say so. */
  readonly strict?: boolean;
  readonly effort?: 'low' | 'medium' | 'high';
  readonly schema?: object;
  readonly maxTokens?: number;
}

export interface Said {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly id: string; readonly name: string; readonly arguments: Loose }[];
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Cut off by the limit of tokens. */
  readonly isCut: boolean;
  /** As the dialect has it, to be sent back. */
  readonly raw: readonly object[];
}

export interface Dialect {
  readonly name: 'chat' | 'responses' | 'messages' | 'ollama';
  readonly path: string;
  body(question: Question): object;
  /** What the conversation goes on with after a call was answered. */
  goOn(question: Question, said: Said, result: string): object;
  whole(answer: Loose): Said;
  /** Checks order and completeness of the events. */
  streamed(stream: EventStream): Said;
}

export async function ask(target: Target, dialect: Dialect, question: Question, isStreamed: boolean): Promise<Said> {
  const body = dialect.body(question);
  return isStreamed
    ? dialect.streamed(await target.stream(dialect.path, body))
    : dialect.whole(await target.ask(dialect.path, dialect.name === 'ollama' ? { stream: false, ...body } : body));
}

const functionTool = ({ name, description, parameters }: Tool, strict?: boolean): object => ({
  type: 'function',
  function: { name, description, parameters, ...(strict === undefined ? {} : { strict }) },
});

const sameLength = (what: string, parts: readonly string[], whole: string): void =>
  demand(parts.join('') === whole, `${what}: the pieces do not make the whole`);

export const chat: Dialect = {
  name: 'chat',
  path: '/v1/chat/completions',
  body: ({ text, tools, toolChoice, strict, effort, schema, maxTokens }) => ({
    messages: [{ role: 'user', content: text }],
    ...(tools === undefined ? {} : { tools: tools.map((tool) => functionTool(tool, strict)) }),
    ...(toolChoice === undefined
      ? {}
      : {
          tool_choice:
            typeof toolChoice === 'string' ? toolChoice : { type: 'function', function: { name: toolChoice.name } },
        }),
    ...(effort === undefined ? {} : { reasoning_effort: effort }),
    ...(schema === undefined
      ? {}
      : { response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } } }),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
  }),
  goOn(question, said, result) {
    const { messages, ...rest } = this.body(question) as { messages: object[] };
    const tool = { role: 'tool', tool_call_id: said.calls[0]?.id, content: result };
    return { ...rest, messages: [...messages, ...said.raw, tool] };
  },
  whole: (answer) => {
    demand(textOf(answer['object']) === 'chat.completion', 'object is not chat.completion');
    demand(textOf(answer['id']) !== '' && Number.isInteger(answer['created']), 'id or created is missing');
    const choice = list(answer['choices'])[0];
    demand(textOf(choice?.['message']?.['role']) === 'assistant', 'no message of the assistant');
    const { message } = choice!;
    const { reasoning } = message as Loose;
    demand(textOf(reasoning) === textOf(message?.['reasoning_content'] ?? reasoning), 'two different reasonings');
    return chatSaid(message as Loose, textOf(choice!['finish_reason']), answer['usage']);
  },
  streamed: ({ events, isDone }) => {
    demand(isDone, 'the stream does not end in [DONE]');
    const ids = new Set(events.map(({ data }) => textOf(data['id'])));
    demand(ids.size === 1, 'chunks of one answer have several ids');
    demand(
      events.every(({ data }) => textOf(data['object']) === 'chat.completion.chunk'),
      'a chunk of another object',
    );
    const choices = events.flatMap(({ data }) => list(data['choices']));
    demand(textOf(choices[0]?.['delta']?.['role']) === 'assistant', 'the first delta has no role');
    const ends = choices.map((choice) => textOf(choice['finish_reason'])).filter((reason) => reason !== '');
    demand(ends.length === 1, `${ends.length} finish reasons`);
    const join = (field: string): string => choices.map(({ delta }) => textOf(delta?.[field])).join('');
    const calls: { id: string; type: string; function: { name: string; arguments: string } }[] = [];
    for (const piece of choices.flatMap(({ delta }) => list(delta?.['tool_calls']))) {
      const at = numberOf(piece['index']);
      demand(Number.isInteger(at) && at <= calls.length, 'a piece of a call without its index');
      calls[at] ??= { id: textOf(piece['id']), type: 'function', function: { name: '', arguments: '' } };
      calls[at].function.name += textOf(piece['function']?.['name']);
      calls[at].function.arguments += textOf(piece['function']?.['arguments']);
    }
    const message = { role: 'assistant', content: join('content'), reasoning: join('reasoning') };
    const whole = { ...message, ...(calls.length > 0 ? { tool_calls: calls } : {}) };
    return chatSaid(whole as unknown as Loose, ends[0]!, undefined);
  },
};

function chatSaid(message: Loose, finish: string, usage: Loose | undefined): Said {
  const calls = list(message['tool_calls']).map((call) => ({
    id: textOf(call['id']),
    name: textOf(call['function']?.['name']),
    arguments: parse(textOf(call['function']?.['arguments'])),
  }));
  const right = calls.length > 0 ? ['tool_calls'] : ['stop', 'length'];
  demand(right.includes(finish), `finish_reason is ${finish}`);
  if (usage !== undefined) {
    const sum = numberOf(usage['prompt_tokens']) + numberOf(usage['completion_tokens']);
    demand(sum === numberOf(usage['total_tokens']), 'usage does not add up');
  }
  return {
    text: textOf(message['content']),
    reasoning: textOf(message['reasoning'] ?? message['reasoning_content']),
    calls,
    promptTokens: numberOf(usage?.['prompt_tokens']),
    cachedTokens: numberOf(usage?.['prompt_tokens_details']?.['cached_tokens']),
    isCut: finish === 'length',
    raw: [message],
  };
}

export const responses: Dialect = {
  name: 'responses',
  path: '/v1/responses',
  body: ({ text, tools, toolChoice, strict, effort, schema, maxTokens }) => ({
    input: [{ role: 'user', content: text }],
    ...(tools === undefined
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            ...{ type: 'function', name, description, parameters },
            strict: strict ?? false,
          })),
        }),
    ...(toolChoice === undefined
      ? {}
      : { tool_choice: typeof toolChoice === 'string' ? toolChoice : { type: 'function', name: toolChoice.name } }),
    ...(effort === undefined ? {} : { reasoning: { effort } }),
    ...(schema === undefined
      ? {}
      : { text: { format: { type: 'json_schema', name: 'answer', strict: true, schema } } }),
    ...(maxTokens === undefined ? {} : { max_output_tokens: maxTokens }),
  }),
  goOn(question, said, result) {
    const { input, ...rest } = this.body(question) as { input: object[] };
    const output = { type: 'function_call_output', call_id: said.calls[0]?.id, output: result };
    return { ...rest, input: [...input, ...said.raw, output] };
  },
  whole: (response) => {
    demand(textOf(response['object']) === 'response', 'object is not response');
    const status = textOf(response['status']);
    demand(status === 'completed' || status === 'incomplete', `status is ${status}`);
    if (status === 'incomplete') {
      const reason = textOf(response['incomplete_details']?.['reason']);
      demand(['max_output_tokens', 'repetition'].includes(reason), 'incomplete for no reason');
    }
    const output = list(response['output']);
    const parts = (type: string, part: string): readonly Loose[] =>
      output
        .filter((item) => textOf(item['type']) === type)
        .flatMap((item) => list(item['content']))
        .filter((each) => textOf(each['type']) === part);
    const { usage } = response as Loose;
    const sum = numberOf(usage?.['input_tokens']) + numberOf(usage?.['output_tokens']);
    demand(sum === numberOf(usage?.['total_tokens']), 'usage does not add up');
    return {
      text: parts('message', 'output_text')
        .map((part) => textOf(part['text']))
        .join(''),
      reasoning: parts('reasoning', 'reasoning_text')
        .map((part) => textOf(part['text']))
        .join(''),
      calls: output
        .filter((item) => textOf(item['type']) === 'function_call')
        .map((item) => ({
          id: textOf(item['call_id']),
          name: textOf(item['name']),
          arguments: parse(textOf(item['arguments'])),
        })),
      promptTokens: numberOf(usage?.['input_tokens']),
      cachedTokens: numberOf(usage?.['input_tokens_details']?.['cached_tokens']),
      isCut: status === 'incomplete',
      raw: output,
    };
  },
  streamed({ events }) {
    const types = events.map(({ data }) => textOf(data['type']));
    demand(
      events.every(({ event, data }) => event === null || event === textOf(data['type'])),
      'an event named differently from its type',
    );
    demand(
      events.every(({ data }, i) => numberOf(data['sequence_number']) === i),
      'sequence numbers have gaps',
    );
    demand(types[0] === 'response.created', `the first event is ${types[0]}`);
    demand(/^response\.(completed|incomplete)$/.test(types.at(-1) ?? ''), `the last event is ${types.at(-1)}`);
    const said = this.whole(events.at(-1)!.data['response']!);
    const of = (type: string): readonly Loose[] =>
      events.filter(({ data }) => textOf(data['type']) === type).map(({ data }) => data);
    demand(of('response.output_item.added').length === said.raw.length, 'items that were not added');
    demand(of('response.output_item.done').length === said.raw.length, 'items that did not end');
    const deltas = (type: string): string[] => of(type).map((data) => textOf(data['delta']));
    sameLength('text', deltas('response.output_text.delta'), said.text);
    sameLength('reasoning', deltas('response.reasoning_text.delta'), said.reasoning);
    const given = of('response.function_call_arguments.done').map((data) => textOf(data['arguments']));
    sameLength('arguments', deltas('response.function_call_arguments.delta'), given.join(''));
    return said;
  },
};
