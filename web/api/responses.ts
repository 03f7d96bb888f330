// An answer over /v1/responses: the request from a path of the conversation, and the stream of events folded into parts of
// an answer. The server's items are kept as they came and go back in later turns, which lets it find its own tokens again.
// Unknown events and items are passed over: a newer server loses nothing here. Next: ../state/chat.ts.

import { createParser } from 'eventsource-parser';
import type {
  AnswerNode,
  BrowserAction,
  Citation,
  Effort,
  Figures,
  MadeFile,
  Node,
  Part,
  ToolPart,
} from '../state/conversation.ts';
import type { Sampling } from '../state/settings.ts';
import { ask, ServerError, texts } from './server.ts';

type Item = Readonly<Record<string, unknown>>;
type Loose = Readonly<Record<string, unknown>>;

export interface AnswerRequest {
  readonly model: string;
  /** Which conversation it is: the server's tools remember its variables and pages. */
  readonly key: string;
  readonly system: string;
  /** Ends with the user's message. */
  readonly path: readonly Node[];
  readonly effort: Effort;
  readonly sampling: Sampling;
  readonly tools: readonly string[];
}

const toolTypes: Readonly<Record<string, unknown>> = {
  python: { type: 'code_interpreter', container: { type: 'auto' } },
  browser: { type: 'web_search' },
  apply_patch: { type: 'mcp', server_label: 'apply_patch' },
  mcp: { type: 'mcp', server_label: 'mcp' },
};

export function requestBody({ model, key, system, path, effort, sampling, tools }: AnswerRequest): unknown {
  const input = path.flatMap((node): readonly unknown[] => {
    if (node.role === 'user')
      return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: node.text }] }];
    return node.output.length > 0 ? node.output : textItems(node);
  });
  const { temperature, topP, maxTokens, seed } = sampling;
  const wanted = tools.flatMap((name) => (name in toolTypes ? [toolTypes[name]] : []));
  return {
    model,
    input,
    stream: true,
    store: false,
    conversation_key: key,
    reasoning: { effort },
    ...(system === '' ? {} : { instructions: system }),
    ...(temperature === null ? {} : { temperature }),
    ...(topP === null ? {} : { top_p: topP }),
    ...(maxTokens === null ? {} : { max_output_tokens: maxTokens }),
    ...(seed === null ? {} : { seed }),
    ...(wanted.length === 0 ? {} : { tools: wanted }),
  };
}

/** An answer that broke off has no items of the server: what is there of it goes back as text. */
function textItems(node: AnswerNode): readonly unknown[] {
  const text = node.parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n\n');
  if (text === '') return [];
  return [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text, annotations: [] }] }];
}

export interface Progress {
  readonly parts: readonly Part[];
  readonly output: readonly Item[];
  readonly end: 'open' | 'complete' | 'length';
  readonly figures: Figures | null;
}

/** Yields the answer so far after every read from the network. Throws ServerError. */
export async function* streamAnswer(request: AnswerRequest, signal: AbortSignal): AsyncGenerator<Progress> {
  const fold = new Fold();
  const response = await ask('./v1/responses', requestBody(request), signal);
  const events: Loose[] = [];
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data !== '[DONE]') events.push(JSON.parse(data) as Loose);
    },
  });
  for await (const text of texts(response)) {
    parser.feed(text);
    if (events.length === 0) continue;
    for (const event of events.splice(0)) fold.take(event);
    yield fold.progress();
  }
  if (fold.end === 'open') throw new ServerError(0, 'the connection ended before the answer did');
}

export class Fold {
  readonly #parts = new Map<string, Part>();
  readonly #startedAt = new Map<string, number>();
  #output: readonly Item[] = [];
  #firstAt = 0;
  end: Progress['end'] = 'open';
  #figures: Figures | null = null;

  progress(): Progress {
    return { parts: [...this.#parts.values()], output: this.#output, end: this.end, figures: this.#figures };
  }

  take(event: Loose): void {
    const type = String(event['type'] ?? '');
    if (type === 'error' || type === 'response.failed') {
      const failed = (event['response'] as { error?: { message?: string } } | undefined)?.error;
      const inner = event['error'] as { message?: string } | undefined;
      const message = failed?.message ?? inner?.message ?? event['message'] ?? 'the answer failed';
      throw new ServerError(500, String(message));
    }
    if (type === 'response.output_item.added') this.#added(event['item'] as Item);
    else if (type === 'response.output_item.done') this.#done(event['item'] as Item);
    else if (type === 'response.reasoning_text.delta' || type === 'response.output_text.delta') {
      const part = this.#parts.get(String(event['item_id']));
      if (part !== undefined && part.type !== 'tool') this.#set({ ...part, text: part.text + String(event['delta']) });
    } else if (type.endsWith('_call_code.delta') || type === 'response.function_call_arguments.delta') {
      const part = this.#parts.get(String(event['item_id']));
      if (part?.type === 'tool') this.#set({ ...part, input: part.input + String(event['delta']) });
    } else if (type === 'response.output_text.annotation.added') {
      const part = this.#parts.get(String(event['item_id']));
      if (part?.type !== 'text') return;
      const { citations, files } = annotated([event['annotation'] as Loose]);
      this.#set({
        ...part,
        citations: [...part.citations, ...citations],
        files: [...(part.files ?? []), ...files],
      });
    } else if (type === 'response.completed' || type === 'response.incomplete')
      this.#finish(type, event['response'] as Item);
  }

  #added(item: Item): void {
    this.#firstAt ||= performance.now();
    const id = String(item['id']);
    this.#startedAt.set(id, performance.now());
    if (item['type'] === 'reasoning') this.#set({ type: 'reasoning', id, text: '', ms: 0, isOpen: true });
    else if (item['type'] === 'message') {
      this.#set({ type: 'text', id, text: '', phase: String(item['phase'] ?? ''), citations: [], isOpen: true });
    } else if (String(item['type']).endsWith('_call')) this.#set(toolPart(item));
  }

  #done(item: Item): void {
    const id = String(item['id']);
    const part = this.#parts.get(id);
    if (part === undefined) return;
    if (part.type === 'reasoning') {
      const ms = performance.now() - (this.#startedAt.get(id) ?? performance.now());
      this.#set({ ...part, ms, isOpen: false });
    } else if (part.type === 'text') this.#set({ ...part, ...annotated(annotationsOf(item)), isOpen: false });
    else this.#set(toolPart(item, part));
  }

  #finish(type: string, response: Item): void {
    this.end = type === 'response.completed' ? 'complete' : 'length';
    this.#output = (response['output'] as readonly Item[] | undefined) ?? [];
    const usage = response['usage'] as
      | {
          input_tokens: number;
          output_tokens: number;
          input_tokens_details?: { cached_tokens?: number };
          output_tokens_details?: { reasoning_tokens?: number };
        }
      | undefined;
    if (usage === undefined) return;
    this.#figures = {
      promptTokens: usage.input_tokens,
      cachedTokens: usage.input_tokens_details?.cached_tokens ?? 0,
      outputTokens: usage.output_tokens,
      reasoningTokens: usage.output_tokens_details?.reasoning_tokens ?? 0,
      decodeMs: this.#firstAt === 0 ? 0 : performance.now() - this.#firstAt,
    };
  }

  #set(part: Part): void {
    this.#parts.set(part.id, part);
  }
}

const toolNames: Readonly<Record<string, string>> = {
  code_interpreter_call: 'python',
  web_search_call: 'browser',
};

function toolPart(item: Item, before?: ToolPart): ToolPart {
  const status = String(item['status'] ?? '');
  const outputs = Array.isArray(item['outputs']) ? (item['outputs'] as readonly Loose[]) : [];
  const logs = outputs.flatMap((one) => (one['type'] === 'logs' ? [String(one['logs'])] : []));
  const images = outputs.flatMap((one) => (one['type'] === 'image' && isImage(one['url']) ? [one['url']] : []));
  const action = actionOf(item['action'] as Loose | undefined);
  const found = (item['action'] as Loose | undefined)?.['sources'];
  const sources = Array.isArray(found) ? (found as readonly Loose[]) : [];
  const input = String(item['code'] ?? item['arguments'] ?? item['input'] ?? '');
  const said = item['output'] ?? item['error'];
  return {
    type: 'tool',
    id: String(item['id']),
    name: toolNames[String(item['type'])] ?? String(item['name'] ?? item['type']),
    input: input === '' ? (before?.input ?? '') : input,
    output: logs.length > 0 ? logs.join('\n') : typeof said === 'string' ? said : (before?.output ?? null),
    status: status === 'completed' ? 'done' : status === 'failed' || status === 'incomplete' ? 'failed' : 'running',
    images,
    ...(action === null ? {} : { action }),
    sources: sources.flatMap((one) =>
      isLink(one['url']) ? [{ title: String(one['title'] || one['url']), url: one['url'] }] : [],
    ),
  };
}

/** What the browser did; null: it was another tool, or it is not known yet. */
function actionOf(action: Loose | undefined): BrowserAction | null {
  const text = (name: string): string => (typeof action?.[name] === 'string' ? String(action[name]) : '');
  switch (action?.['type']) {
    case 'search':
      return { kind: 'search', text: text('query'), url: '' };
    case 'open_page':
      return { kind: 'open', text: text('title') || text('url'), url: isLink(action['url']) ? text('url') : '' };
    case 'find_in_page':
      return { kind: 'find', text: text('pattern'), url: isLink(action['url']) ? text('url') : '' };
    default:
      return null;
  }
}

function annotationsOf(item: Item): readonly Loose[] {
  const content = Array.isArray(item['content']) ? (item['content'] as readonly Loose[]) : [];
  return content.flatMap((part) => (Array.isArray(part['annotations']) ? (part['annotations'] as Loose[]) : []));
}

function annotated(annotations: readonly Loose[]): { citations: readonly Citation[]; files: readonly MadeFile[] } {
  const citations = annotations.flatMap((one) =>
    one['type'] === 'url_citation' && isLink(one['url'])
      ? [
          {
            title: String(one['title'] ?? one['url']),
            url: one['url'],
            start: Number(one['start_index']),
            end: Number(one['end_index']),
          },
        ]
      : [],
  );
  const files = annotations.flatMap((one) =>
    one['type'] === 'container_file_citation'
      ? [{ containerId: String(one['container_id']), id: String(one['file_id']), name: String(one['filename']) }]
      : [],
  );
  return { citations, files };
}

/** Pictures come inside of the answer; nothing is ever fetched for one. */
function isImage(url: unknown): url is string {
  return typeof url === 'string' && /^data:image\/(?:png|jpeg|gif|webp);base64,[\w+/=]+$/.test(url);
}

/** Of the web, or of a page on the server's machine, which is shown here as text. */
function isLink(url: unknown): url is string {
  return typeof url === 'string' && /^(?:https?|local):\/\//i.test(url);
}
