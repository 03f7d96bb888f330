// Owns: calls of tools that run here in the words of the Responses dialect: an item of the kind that clients know for each,
// and its events. python is `code_interpreter_call`, the browser `web_search_call`, any other tool `mcp_call`, the kind for
// tools that a server runs. Refuses: to invent kinds; clients with strict readers would break.
// Next: responses-events.ts, which numbers the events.

import type { AnswerEvent } from './answer.ts';
import type { OutputItem } from './store.ts';

type RunEvent = Extract<AnswerEvent, { type: 'run' }>;
type RunEnd = Extract<RunEvent, { phase: 'end' }>;
type Fields = Readonly<Record<string, unknown>>;

interface Kind {
  readonly prefix: string;
  /** Of its events. */
  readonly word: string;
  /** Of the events that tell its input. */
  readonly input: { readonly word: string; readonly field: string } | null;
  /** Told when it runs, after its input is whole. */
  readonly started: string | null;
}

const kinds: Readonly<Record<'python' | 'browser' | 'other', Kind>> = {
  python: {
    prefix: 'ci',
    word: 'response.code_interpreter_call',
    input: { word: 'response.code_interpreter_call_code', field: 'code' },
    started: 'interpreting',
  },
  browser: { prefix: 'ws', word: 'response.web_search_call', input: null, started: 'searching' },
  other: {
    prefix: 'mcp',
    word: 'response.mcp_call',
    input: { word: 'response.mcp_call_arguments', field: 'arguments' },
    started: null,
  },
};

/** One call from its beginning to its result. */
export class ToolRunTeller {
  readonly #tool: string;
  readonly #kind: Kind;
  readonly #id: string;
  readonly #containerId: string;
  #input = '';

  constructor(tool: string, place: { readonly key: string; readonly index: number; readonly containerId: string }) {
    this.#tool = tool;
    this.#kind = kinds[tool === 'python' ? 'python' : tool.startsWith('browser.') ? 'browser' : 'other'];
    this.#id = `${this.#kind.prefix}_${place.key}_${place.index}`;
    this.#containerId = place.containerId;
  }

  get id(): string {
    return this.#id;
  }

  /** Types of events with their fields; the caller adds the place. `item`: the whole item, added or done. */
  *tell(event: RunEvent): Generator<{ readonly type: string; readonly fields?: Fields; readonly item?: OutputItem }> {
    const { word, input, started } = this.#kind;
    switch (event.phase) {
      case 'begin':
        yield { type: 'response.output_item.added', item: this.#item('in_progress', null) };
        yield { type: `${word}.in_progress` };
        break;
      case 'input':
        this.#input += event.text;
        if (input !== null) yield { type: `${input.word}.delta`, fields: { delta: event.text } };
        break;
      case 'started':
        if (input !== null) yield { type: `${input.word}.done`, fields: { [input.field]: this.#input } };
        if (started !== null) yield { type: `${word}.${started}` };
        break;
      case 'end': {
        const hasFailed = event.isError && this.#kind !== kinds.python;
        yield { type: `${word}.${hasFailed && this.#kind === kinds.other ? 'failed' : 'completed'}` };
        const done = this.#item(hasFailed ? 'failed' : 'completed', event);
        yield { type: 'response.output_item.done', item: done };
      }
    }
  }

  #item(status: string, end: RunEnd | null): OutputItem {
    const id = this.#id;
    if (this.#kind === kinds.python) {
      const outputs = end === null ? null : outputsOf(end);
      return {
        ...{ id, type: 'code_interpreter_call', status, code: this.#input },
        ...{ container_id: this.#containerId, outputs },
      };
    }
    if (this.#kind === kinds.browser) {
      const action = actionOf(this.#tool, end?.value, end?.details);
      return { id, type: 'web_search_call', status, action, ...(end === null ? {} : { output: end.output }) };
    }
    const output = end === null ? {} : end.isError ? { output: null, error: end.output } : { output: end.output };
    return {
      ...{ id, type: 'mcp_call', status, server_label: 'gptoss', name: this.#tool, arguments: this.#input },
      ...output,
    };
  }
}

/** Nothing is kept on a disk, so images are in the answer itself. */
function outputsOf({ output, images }: RunEnd): unknown[] {
  const pictures = images.map(({ mediaType, bytes }) => ({
    type: 'image',
    url: `data:${mediaType};base64,${base64(bytes)}`,
  }));
  return [...(output === '' && pictures.length > 0 ? [] : [{ type: 'logs', logs: output }]), ...pictures];
}

/** What the browser was told to do, and where that led. */
function actionOf(tool: string, value: unknown, details: unknown): unknown {
  const given = record(value);
  const found = record(details);
  const url = text(found['url']) ?? text(given['id']);
  const title = text(found['title']);
  if (tool.endsWith('.open')) return { type: 'open_page', url, ...(title === null ? {} : { title }) };
  if (tool.endsWith('.find')) return { type: 'find_in_page', pattern: String(given['pattern'] ?? ''), url: url ?? '' };
  const results = Array.isArray(found['results']) ? (found['results'] as readonly unknown[]).map(record) : null;
  const sources = results?.map((each) => ({
    type: 'url',
    url: text(each['url']) ?? '',
    title: text(each['title']) ?? '',
  }));
  return { type: 'search', query: text(given['query']) ?? '', ...(sources === undefined ? {} : { sources }) };
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const record = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}
