// One recorded session through the library, the terminal and the two dialects that run tools, streamed and not: the same final
// text everywhere, from the same tool results. The page replays it in test/web/page.web.test.ts.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chat } from '../src/cli/chat/chat.ts';
import type { Context } from '../src/cli/context.ts';
import { ModelSpeaker } from '../src/cli/open-speaker.ts';
import { type OpenTools, openTools } from '../src/cli/tools/open-tools.ts';
import { open } from '../src/open.node.ts';
import type { ChatMessage, OpenedModel } from '../src/opened-model.ts';
import { Caller, list, type Scripted, scripted } from '../src/server/scripted.testing.ts';
import { recorded, resultsIn, session, writePages } from './recorded-session.ts';
import { temporaryFolder } from './server-process.ts';
import { seedModel } from './shared.ts';

const folder = temporaryFolder();
let tools: OpenTools;
/** The same with one interpreter for all surfaces, since each takes seconds to start. */
let shared: Pick<OpenTools, 'names' | 'open' | 'document' | 'describe' | 'permissions' | 'audit' | 'close'>;

beforeAll(async () => {
  const pages = join(folder.path, 'pages');
  writePages(pages);
  const options = { tools: ['browser', 'python'], allow: [], yes: false, pages, pythonUnconfined: true };
  const context = { environment: { path: '' }, stores: { home: folder.path }, version: '0' } as unknown as Context;
  tools = (await openTools({ ...options, toolLog: join(folder.path, 'log') }, context, null))!;
  const [python] = tools.open(['python']);
  shared = {
    names: tools.names,
    permissions: tools.permissions,
    audit: tools.audit,
    open: (names = tools.names, tokensOf) =>
      names.flatMap((name) => {
        if (name !== 'python') return tools.open([name], tokensOf);
        const { close: _, ...rest } = python!;
        return [rest];
      }),
    document: (url) => tools.document(url),
    describe: () => tools.describe(),
    close: async () => undefined,
  };
});
afterAll(async () => {
  await tools?.close();
  folder.remove();
});

const answers = session.map(({ answer }) => answer);
const options = { context: 16_384 };

/** Every tool said what was recorded of it. */
function expectResults({ prompts }: Scripted): void {
  for (const { question, steps, results } of session) {
    const last = prompts
      .filter((prompt) => prompt.slice(prompt.lastIndexOf('<|start|>user')).includes(question))
      .at(-1);
    const said = resultsIn(last ?? '');
    expect(said, question).toHaveLength(steps.length - 1);
    for (const [i, result] of results.entries()) expect(said[i]).toMatch(result);
  }
}

/** The tiny model, opened as it is, that says what was recorded. */
async function opened(model: Scripted): Promise<OpenedModel> {
  const one = await open(seedModel, { backend: 'reference' });
  await one.engine.close();
  return Object.defineProperty(one, 'engine', { value: model.engine });
}

describe('a recorded session of browsing, citing and computing ends in the same text', () => {
  it('through the library', async () => {
    const model = scripted(recorded, options);
    const library = await opened(model);
    const sets = shared.open();
    const messages: ChatMessage[] = [];
    for (const { question, answer } of session) {
      messages.push({ role: 'user', content: question });
      for await (const event of library.chat(messages, { tools: sets })) {
        if (event.type !== 'done') continue;
        expect(event.result.text).toBe(answer);
        messages.push(...event.result.history);
      }
    }
    expectResults(model);
    await Promise.all(sets.map((set) => set.close?.()));
    await library.close();
  });

  it('in the terminal, where a source can be read', async () => {
    const model = scripted(recorded, options);
    const written = { out: '', err: '' };
    const output = (name: 'out' | 'err') => ({
      write: (text: string) => void (written[name] += text),
      ...{ isTerminal: false, colour: false, columns: 80, rows: 24 },
    });
    const speaker = new ModelSpeaker(await opened(model), false, [], shared);
    const chat = new Chat(
      speaker,
      { out: output('out'), err: output('err') },
      {
        ...{
          effort: null,
          system: null,
          developer: null,
          sampling: { stop: [] },
          hideReasoning: false,
          verbose: false,
        },
      },
    );
    for (const { question } of session) await chat.handle(question);
    expect(written.out).toBe(answers.map((answer) => `${answer}\n`).join(''));
    expectResults(model);
    await chat.handle('/retry');
    await chat.handle(session[0].question);
    written.err = '';
    await chat.handle('/source');
    expect(written.err).toContain('[2] The water tower · local://pages/water.html#L5-L6');
    written.err = '';
    await chat.handle('/source 1');
    expect(written.err).toMatch(/The bell tower · local:.*\n[\s\S]*6 {2}The bell tower is 41\.5 metres tall/);
    await speaker.forget();
  });

  it.each([false, true])('over Chat Completions (streamed: %s)', async (isStreamed) => {
    const model = scripted(recorded, options);
    const caller = new Caller({ model, hosted: shared });
    const messages: { role: string; content: string }[] = [];
    for (const { question, answer } of session) {
      messages.push({ role: 'user', content: question });
      const body = { messages, conversation_key: 'one' };
      let text: string;
      if (isStreamed) {
        const chunks = await caller.events('/v1/chat/completions', body);
        text = chunks.map((chunk) => list(chunk['choices'])[0]?.['delta']?.['content'] ?? '').join('');
      } else {
        const { choices } = (await caller.json('/v1/chat/completions', body)) as never as {
          choices: { message: { content: string } }[];
        };
        text = choices[0]!.message.content;
      }
      expect(text).toBe(answer);
      messages.push({ role: 'assistant', content: text });
    }
    expectResults(model);
    caller.app.stop();
  });

  it.each([false, true])('over Responses (streamed: %s)', async (isStreamed) => {
    const model = scripted(recorded, options);
    const caller = new Caller({ model, hosted: isStreamed ? tools : shared });
    let previous: string | undefined;
    const wanted = [{ type: 'web_search' }, { type: 'code_interpreter', container: { type: 'auto' } }];
    for (const { question, answer } of session) {
      const body = { input: question, tools: wanted, ...(previous && { previous_response_id: previous }) };
      let text = '';
      let response: Awaited<ReturnType<Caller['json']>>;
      if (isStreamed) {
        const events = await caller.events('/v1/responses', body);
        for (const { type, delta } of events) if (String(type) === 'response.output_text.delta') text += delta;
        response = events.at(-1)!['response']!;
      } else response = await caller.json('/v1/responses', body);
      const output = list(response['output']);
      const [part] = list(output.at(-1)!['content']);
      if (isStreamed) expect(text).toBe(answer);
      expect(part!['text']).toBe(answer);
      const links = [...answer.matchAll(/\[[^\]]+\]\(<[^>]+>\)/g)].map(({ index, 0: link }) => [
        index,
        index + link.length,
      ]);
      const cited = list(part!['annotations']).map((each) => [each['start_index'], each['end_index']]);
      expect(cited).toEqual(links);
      previous = String(response['id']);
    }
    expectResults(model);
    if (isStreamed) {
      // A variable of that conversation is not there in another one.
      await caller.json('/v1/responses', { input: session[1].question, tools: wanted });
      expect(resultsIn(model.prompts.at(-1)!)[0]).toContain("NameError: name 'total' is not defined");
    }
    caller.app.stop();
  });
});
