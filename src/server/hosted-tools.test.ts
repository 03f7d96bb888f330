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
});
