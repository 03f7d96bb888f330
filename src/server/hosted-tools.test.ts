// Tools that the server runs itself, through the dialects that know them. The tool is the real loop's; what python says is
// written out here, because the interpreter has its own tests.
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../agent/audit.ts';
import { Permissions } from '../agent/permission.ts';
import type { HostedTools } from './hosted-tools.ts';
import { Caller, final, list, type Script, scripted } from './scripted.testing.ts';

function hosted(names: readonly string[] = ['python']): HostedTools & { closed: number; entries: AuditEntry[] } {
  const entries: AuditEntry[] = [];
  const tools = {
    names,
    permissions: new Permissions(),
    audit: (entry: AuditEntry) => void entries.push(entry),
    entries,
    closed: 0,
    open: (wanted: readonly string[]) =>
      wanted.map((name) => ({
        name,
        tools: [
          {
            recipient: name === 'browser' ? 'browser.search' : name,
            run: ({ text }: { text: string }) => ({ text: `${name} got ${text}` }),
          },
        ],
        close: async () => void tools.closed++,
      })),
  };
  return tools;
}

const code = '<|channel|>analysis to=python code<|message|>print(6 * 7)<|call|>';
const search = '<|channel|>analysis to=browser.search code<|message|>{"query": "x"}<|call|>';
const script =
  (first: string): Script =>
  (prompt) =>
    /got .*<\|end\|><\|start\|>assistant$/s.test(prompt) ? final('It is 42.', 'so') : first;

describe('tools that the server runs', () => {
  it('Chat Completions: the answer comes after the call, and no call is left to the client', async () => {
    const tools = hosted();
    const caller = new Caller({ model: scripted(script(code)), hosted: tools });
    const body = { messages: [{ role: 'user', content: 'What is 6 * 7?' }] };
    const answer = await caller.json('/v1/chat/completions', body);
    const choice = list(answer['choices'])[0]!;
    expect(choice).toMatchObject({ finish_reason: 'stop', message: { content: 'It is 42.', reasoning: 'so' } });
    expect(choice['message']).not.toHaveProperty('tool_calls');
    expect(tools.entries).toMatchObject([
      { tool: 'python', input: 'print(6 * 7)', decision: 'contained', outcome: 'ok' },
    ]);
    expect(tools.closed).toBeGreaterThan(0);
    const chunks = await caller.events('/v1/chat/completions', body);
    expect(JSON.stringify(chunks)).not.toContain('tool_calls');
    expect(chunks.map((chunk) => list(chunk['choices'])[0]?.['delta']?.['content'] ?? '').join('')).toBe('It is 42.');
  });

  it('Responses: code_interpreter is python, with its item and events', async () => {
    const caller = new Caller({ model: scripted(script(code)), hosted: hosted() });
    const body = { input: 'What is 6 * 7?', tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] };
    const response = await caller.json('/v1/responses', body);
    const output = list(response['output']);
    expect(output.map(({ type }) => type)).toEqual(['code_interpreter_call', 'reasoning', 'message']);
    expect(output[0]).toMatchObject({
      status: 'completed',
      code: 'print(6 * 7)',
      outputs: [{ type: 'logs', logs: 'python got print(6 * 7)' }],
    });
    const events = await caller.events('/v1/responses', body);
    expect(events.map(({ sequence_number }) => Number(sequence_number))).toEqual(events.map((_, i) => i));
    const types = events.map(({ type }) => String(type)).filter((type, i, all) => type !== all[i - 1]);
    expect(types.slice(2, 9)).toEqual([
      'response.output_item.added',
      'response.code_interpreter_call.in_progress',
      'response.code_interpreter_call_code.delta',
      'response.code_interpreter_call_code.done',
      'response.code_interpreter_call.interpreting',
      'response.code_interpreter_call.completed',
      'response.output_item.done',
    ]);
  });

  it('Responses: web_search is the browser; a type that is not here is skipped', async () => {
    const caller = new Caller({ model: scripted(script(search)), hosted: hosted(['browser']) });
    const tools = [{ type: 'web_search' }, { type: 'code_interpreter' }];
    const http = await caller.post('/v1/responses', { input: 'Look it up.', tools });
    expect(http.headers.get('x-gptoss-skipped-tools')).toBe('code_interpreter');
    const { output } = (await http.json()) as { output: unknown[] };
    expect(output[0]).toMatchObject({ type: 'web_search_call', action: { type: 'search', query: 'x' } });
    expect(output.at(-1)).toMatchObject({ type: 'message' });
  });

  it('are not offered where the request does not ask for them, or forbids tools', async () => {
    const model = scripted(() => final('plain'));
    const caller = new Caller({ model, hosted: hosted() });
    await caller.json('/v1/responses', { input: 'hi' });
    await caller.json('/v1/chat/completions', { messages: [{ role: 'user', content: 'hi' }], tool_choice: 'none' });
    for (const prompt of model.prompts) expect(prompt).not.toContain('# Tools');
  });

  it('other tools come as the calls of a server, where mcp without an address names them', async () => {
    const patch = '<|channel|>commentary to=functions.apply_patch<|message|>*** Begin Patch<|call|>';
    const definition = { name: 'apply_patch', description: 'Edits.' };
    const run = ({ text }: { text: string }) => {
      if (text.includes('End')) return { text: `got ${text}` };
      throw new Error('got no end');
    };
    const set = { name: 'apply_patch', tools: [{ recipient: 'functions.apply_patch', definition, run }] };
    const tools = { ...hosted(['apply_patch']), open: () => [set] };
    const caller = new Caller({ model: scripted(script(patch)), hosted: tools });
    const wanted = [
      { type: 'mcp', server_label: 'apply_patch' },
      { type: 'mcp', server_label: 'far', server_url: 'https://far.example/mcp' },
    ];
    const http = await caller.post('/v1/responses', { input: 'Edit.', tools: wanted });
    expect(http.headers.get('x-gptoss-skipped-tools')).toBe('mcp');
    const events = await caller.events('/v1/responses', { input: 'Edit.', tools: wanted });
    const types = events.map(({ type }) => String(type)).filter((type, i, all) => type !== all[i - 1]);
    expect(types.slice(2, 8)).toEqual([
      'response.output_item.added',
      'response.mcp_call.in_progress',
      'response.mcp_call_arguments.delta',
      'response.mcp_call_arguments.done',
      'response.mcp_call.failed',
      'response.output_item.done',
    ]);
    const { output } = (await http.json()) as { output: unknown[] };
    expect(output[0]).toMatchObject({
      type: 'mcp_call',
      name: 'apply_patch',
      error: 'Error: got no end',
      output: null,
    });
  });

  it('citations become links, and annotations with their place in the text', async () => {
    const source = { url: 'https://example.org/a', title: 'A page' };
    const browser = { ...hosted(['browser']), open: () => [{ ...hosted().open(['browser'])[0]!, cite: () => source }] };
    const text = '🙂 as said【0†L1-L2】, twice【0†L3】.';
    const caller = new Caller({
      model: scripted((prompt) => (prompt.includes('browser got') ? final(text, 'so') : search)),
      hosted: browser,
    });
    const link = '[A page](<https://example.org/a>)';
    const events = await caller.events('/v1/responses', { input: 'Look.', tools: [{ type: 'web_search' }] });
    const response = events.at(-1)!['response']!;
    const [part] = list(list(response['output']).at(-1)!['content']);
    expect(part!['text']).toBe(`🙂 as said${link}, twice${link}.`);
    const points = Array.from(String(part!['text']));
    const annotations = list(part!['annotations']);
    expect(annotations).toMatchObject([source, source]);
    for (const { start_index: start, end_index: end } of annotations) {
      expect(points.slice(Number(start), Number(end)).join('')).toBe(link);
    }
    const told = events.filter(({ type }) => String(type) === 'response.output_text.annotation.added');
    expect(told.map(({ annotation }) => annotation)).toEqual(annotations);
    const chat = await caller.json('/v1/chat/completions', { messages: [{ role: 'user', content: 'Look.' }] });
    const message = list(chat['choices'])[0]!['message']!;
    expect(list(message['annotations']).map((each) => each['url_citation'])).toMatchObject([source, source]);
    const chunks = await caller.events('/v1/chat/completions', { messages: [{ role: 'user', content: 'Look.' }] });
    expect(JSON.stringify(chunks)).toContain(JSON.stringify(message['annotations']));
  });

  it('loses no text that only begins like a citation', async () => {
    const browser = { ...hosted(['browser']), open: () => [{ ...hosted().open(['browser'])[0]!, cite: () => null }] };
    const caller = new Caller({
      model: scripted((prompt) => (prompt.includes('browser got') ? final('as said【0†L1') : search)),
      hosted: browser,
    });
    const chat = await caller.json('/v1/chat/completions', { messages: [{ role: 'user', content: 'Look.' }] });
    expect(list(chat['choices'])[0]!['message']!['content']).toBe('as said【0†L1');
    const response = await caller.json('/v1/responses', { input: 'Look.', tools: [{ type: 'web_search' }] });
    expect(list(list(response['output']).at(-1)!['content'])[0]!['text']).toBe('as said【0†L1');
  });

  it('a limit is told in the text, but beside an answer that has a form', async () => {
    const caller = new Caller({
      model: scripted((prompt) => (prompt.includes('limit of tool calls') ? final('{"a":1}') : code)),
      hosted: hosted(),
    });
    const body = { messages: [{ role: 'user', content: 'Count on.' }] };
    const free = await caller.json('/v1/chat/completions', body);
    const notice = '(Stopped: the limit of 32 tool calls was reached.)';
    expect(list(free['choices'])[0]!['message']!['content']).toBe(`{"a":1}\n\n${notice}`);
    expect(free['notice']).toBeUndefined();
    const form = { ...body, response_format: { type: 'json_object' } };
    const answer = await caller.json('/v1/chat/completions', form);
    expect(list(answer['choices'])[0]).toMatchObject({ finish_reason: 'stop', message: { content: '{"a":1}' } });
    expect(answer['notice']).toBe(notice);
    expect((await caller.events('/v1/chat/completions', form)).at(-1)!['notice']).toBe(notice);
    const tools = [{ type: 'code_interpreter' }];
    const text = { format: { type: 'json_object' } };
    const response = await caller.json('/v1/responses', { input: 'Count on.', tools, text });
    expect(list(list(response['output']).at(-1)!['content'])[0]!['text']).toBe('{"a":1}');
    expect(response).toMatchObject({ status: 'completed', notice });
  });
});
