// What tools remember from answer to answer, who finds it, and when it ends: through the dialects, over tools that count
// their own calls. That Python really keeps its variables: agent/replay.test.ts.
import { describe, expect, it } from 'vitest';
import { Permissions } from '../agent/permission.ts';
import type { Toolset } from '../agent/tool.ts';
import type { HostedTools } from './hosted-tools.ts';
import { Caller, final, type Loose, list, patience, type Script, scripted } from './scripted.testing.ts';

/** Each set counts its calls; the third makes a picture and a file. */
function counting(): HostedTools & { opened: number; closed: number } {
  const tools = {
    names: ['python'],
    permissions: new Permissions(),
    audit: () => undefined,
    opened: 0,
    closed: 0,
    open: (names: readonly string[]): Toolset[] =>
      names.map((name) => {
        tools.opened++;
        let calls = 0;
        return {
          name,
          tools: [
            {
              recipient: name,
              run: () => {
                const bytes = new TextEncoder().encode(`file ${++calls}`);
                return {
                  text: `call ${calls}`,
                  images: [{ name: 'figure-1.png', mediaType: 'image/png', bytes }],
                  files: [{ name: 'out/data.csv', mediaType: 'text/csv', bytes }],
                };
              },
            },
          ],
          close: async () => void tools.closed++,
        };
      }),
  };
  return tools;
}

const code = '<|channel|>analysis to=python code<|message|>count()<|call|>';
/** Calls once, then says which call of its conversation it was. */
const script: Script = (prompt) => {
  const said = /call (\d+)<\|end\|><\|start\|>assistant$/.exec(prompt);
  return said === null ? code : final(`It was call ${said[1]}; see [it](sandbox:/mnt/data/out/data.csv).`);
};
const saying = (n: number): string => `It was call ${n}; see [it](sandbox:/mnt/data/out/data.csv).`;
const tools = [{ type: 'code_interpreter', container: { type: 'auto' } }];

async function respond(caller: Caller, body: object, headers = {}): Promise<{ id: string; text: string; call: Loose }> {
  const response = await caller.json('/v1/responses', { input: 'Count.', tools, ...body }, headers);
  const output = list(response['output']);
  const message = output.find(({ type }) => String(type) === 'message');
  const call = output.find(({ type }) => String(type) === 'code_interpreter_call')!;
  return { id: String(response['id']), text: String(list(message?.['content'])[0]?.['text']), call };
}

async function chat(caller: Caller, key?: string, headers = {}): Promise<string> {
  const body = { messages: [{ role: 'user', content: 'Count.' }], ...(key && { conversation_key: key }) };
  const answer = await caller.json('/v1/chat/completions', body, headers);
  return String(list(answer['choices'])[0]?.['message']?.['content']);
}

describe('the state of tools', () => {
  it('lasts along a chain of responses, and no other response finds it', async () => {
    const caller = new Caller({ model: scripted(script), hosted: counting() });
    const first = await respond(caller, {});
    const second = await respond(caller, { previous_response_id: first.id });
    const other = await respond(caller, {});
    const third = await respond(caller, { previous_response_id: second.id });
    expect([first, second, other, third].map(({ text }) => text)).toEqual([1, 2, 1, 3].map(saying));
    expect(second.call['container_id']).toEqual(first.call['container_id']);
    expect(other.call['container_id']).not.toEqual(first.call['container_id']);
  });

  it('is found by the container that a request names or gives back', async () => {
    const caller = new Caller({ model: scripted(script), hosted: counting() });
    const { call } = await respond(caller, { store: false });
    const container = call['container_id'];
    const named = await respond(caller, { store: false, tools: [{ type: 'code_interpreter', container }] });
    const input = [call, { role: 'user', content: 'Count.' }];
    const given = await respond(caller, { store: false, input });
    const unknown = [{ type: 'code_interpreter', container: 'cntr_of_somebody' }];
    const foreign = await respond(caller, { tools: unknown });
    expect([named, given, foreign].map(({ text }) => text)).toEqual([2, 3, 1].map(saying));
  });

  it('is found by the key of a client that sends everything each time, in both dialects', async () => {
    const caller = new Caller({ model: scripted(script), hosted: counting() });
    expect(await chat(caller, 'mine')).toBe(saying(1));
    expect(await chat(caller, 'mine')).toBe(saying(2));
    expect(await chat(caller, 'yours')).toBe(saying(1));
    expect(await chat(caller)).toBe(saying(1));
    expect((await respond(caller, { store: false, conversation_key: 'mine' })).text).toBe(saying(3));
  });

  it('belongs to the one whose key of the API it was made with', async () => {
    const caller = new Caller({ model: scripted(script), hosted: counting(), apiKeys: ['a', 'b'] });
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    expect(await chat(caller, 'mine', as('a'))).toBe(saying(1));
    expect(await chat(caller, 'mine', as('b'))).toBe(saying(1));
    const { call } = await respond(caller, {}, as('a'));
    const path = `/v1/containers/${call['container_id']}/files`;
    expect((await caller.fetch(path, { headers: as('a') })).status).toBe(200);
    expect((await caller.fetch(path, { headers: as('b') })).status).toBe(404);
  });

  it('ends when its last response, its container or its key is deleted', async () => {
    const hosted = counting();
    const page = { files: new Map(), facts: { isTiny: false, tools: [] } };
    const caller = new Caller({ model: scripted(script), hosted, page });
    const first = await respond(caller, {});
    const second = await respond(caller, { previous_response_id: first.id });
    const closed = hosted.closed;
    await caller.fetch(`/v1/responses/${first.id}`, { method: 'DELETE' });
    expect(hosted.closed).toBe(closed);
    await caller.fetch(`/v1/responses/${second.id}`, { method: 'DELETE' });
    await expect.poll(() => hosted.closed, patience).toBe(closed + 1);
    const { call } = await respond(caller, {});
    const path = `/v1/containers/${call['container_id']}`;
    const before = hosted.closed;
    expect(await (await caller.fetch(path, { method: 'DELETE' })).json()).toMatchObject({ deleted: true });
    expect((await caller.fetch(path, { method: 'DELETE' })).status).toBe(404);
    expect(hosted.closed).toBe(before + 1);
    await chat(caller, 'mine');
    expect(await caller.json('/page/forget', { conversation_key: 'mine' })).toEqual({ forgotten: true });
    expect(await caller.json('/page/forget', { conversation_key: 'mine' })).toEqual({ forgotten: false });
    expect(await chat(caller, 'mine')).toBe(saying(1));
  });

  it('is bounded: the longest idle conversation ends first, idle ones end by themselves, all end with the server', async () => {
    const hosted = counting();
    const caller = new Caller({ model: scripted(script), hosted, sessions: { most: 2 } });
    for (const key of ['a', 'b', 'a', 'c']) await chat(caller, key);
    expect([await chat(caller, 'a'), await chat(caller, 'c')]).toEqual([3, 2].map(saying));
    expect(await chat(caller, 'b')).toBe(saying(1)); // it had to go
    caller.app.stop();
    await expect.poll(() => hosted.opened - hosted.closed, patience).toBe(0);
    const short = counting();
    const brief = new Caller({ model: scripted(script), hosted: short, sessions: { idleMs: 1 } });
    await chat(brief, 'a');
    await expect.poll(() => short.opened - short.closed, patience).toBe(0);
    expect(await chat(brief, 'a')).toBe(saying(1));
  });

  it('keeps nothing of an answer that called no tool', async () => {
    const hosted = counting();
    const caller = new Caller({ model: scripted(() => final('plain')), hosted });
    await chat(caller, 'a');
    await caller.json('/v1/responses', { input: 'hi', tools });
    await expect.poll(() => hosted.opened - hosted.closed, patience).toBe(0);
  });

  it('is not shared by two answers at once', async () => {
    const hosted = counting();
    const caller = new Caller({ model: scripted(script), hosted });
    const body = { messages: [{ role: 'user', content: 'Count.' }], conversation_key: 'mine', n: 2 };
    const answer = await caller.json('/v1/chat/completions', body);
    const texts = list(answer['choices']).map((choice) => String(choice['message']?.['content']));
    expect(texts).toEqual([1, 1].map(saying));
  });
});

describe('what tools made', () => {
  it('is in the items of the response: pictures as data, files as citations that can be fetched', async () => {
    const caller = new Caller({ model: scripted(script), hosted: counting() });
    const events = await caller.events('/v1/responses', { input: 'Count.', tools });
    const done = events.filter(({ type }) => String(type) === 'response.completed')[0]!['response']!;
    const output = list(done['output']);
    const picture = `data:image/png;base64,${btoa('file 1')}`;
    expect(output[0]).toMatchObject({
      type: 'code_interpreter_call',
      outputs: [
        { type: 'logs', logs: 'call 1' },
        { type: 'image', url: picture },
      ],
    });
    const [part] = list(output.at(-1)!['content']);
    const text = String(part!['text']);
    const [annotation] = list(part!['annotations']);
    expect(annotation).toMatchObject({ type: 'container_file_citation', filename: 'out/data.csv' });
    const { start_index: start, end_index: end, container_id: container, file_id: id } = annotation!;
    expect(text.slice(Number(start), Number(end))).toBe('sandbox:/mnt/data/out/data.csv');
    expect(container).toEqual(output[0]!['container_id']);
    const told = events.filter(({ type }) => String(type) === 'response.output_text.annotation.added');
    expect(told).toMatchObject([{ annotation_index: 0, content_index: 0, annotation }]);

    const files = (await (await caller.fetch(`/v1/containers/${container}/files`)).json()) as { data: unknown[] };
    expect(files.data).toMatchObject([{ id, path: '/mnt/data/out/data.csv', bytes: 6, object: 'container.file' }]);
    const content = await caller.fetch(`/v1/containers/${container}/files/${id}/content`);
    expect(await content.text()).toBe('file 1');
    expect(content.headers.get('content-disposition')).toMatch(/^attachment; filename="out_data.csv"/);
    expect(content.headers.get('content-type')).toBe('application/octet-stream');
    expect((await caller.fetch(`/v1/containers/${container}/files/other/content`)).status).toBe(404);
  });
});
