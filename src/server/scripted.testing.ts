// A served model that says what a test wants: the real engine, pages and sampler over a scripted model, with the tokens of
// each answer forced. So the whole way through the server is real, whatever is said, malformed headers included.
// Also the ways tests talk to an app. Not shipped.

import { seedModel } from '../../test/shared.ts';
import { Engine } from '../engine/engine.ts';
import type { EngineOptions } from '../engine/engine-options.ts';
import type { GenerateOptions, Generation } from '../engine/generation.ts';
import { FakeModel } from '../engine/model.testing.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { builtinTool } from '../text/harmony/builtin-tools.ts';
import { HarmonyEncoding } from '../text/harmony/encoding.ts';
import type { Conversation, Message } from '../text/harmony/messages.ts';
import { type Tokenizer, tokenizerFrom } from '../text/tokenizer.ts';
import { type App, type AppOptions, createApp } from './app.ts';
import type { ServedModel } from './served-model.ts';

/** What to say after a prompt: template text, as `<|channel|>final<|message|>Hi<|return|>`, or ids. Null: whatever is
 *  sampled. */
export type Script = (prompt: string, count: number) => string | readonly number[] | null;

interface Tokens {
  readonly tokenizer: Tokenizer;
  readonly encoding: HarmonyEncoding;
}

let shared: Tokens | null = null;

export function tinyTokens(): Tokens {
  if (shared === null) {
    const tokenizer = tokenizerFrom(openCheckpoint(seedModel).tokenizer!);
    shared = { tokenizer, encoding: new HarmonyEncoding(tokenizer) };
  }
  return shared;
}

class ScriptedEngine extends Engine {
  readonly prompts: number[][] = [];
  readonly #script: Script;
  readonly #tokens: Tokens;

  constructor(script: Script, options: EngineOptions, tokens: Tokens, beforeStep?: () => void | Promise<void>) {
    const model = new FakeModel({
      vocab: tokens.tokenizer.vocabSize,
      maxContext: 131_072,
      slidingWindow: 64,
      maxRows: 128,
      ...(beforeStep === undefined ? {} : { beforeSegment: beforeStep }),
    });
    super(model, { context: 8192, pageTokens: 64, chunkRows: 64, maxSequences: 4, ...options });
    this.#script = script;
    this.#tokens = tokens;
  }

  override generate(tokens: ArrayLike<number>, options: GenerateOptions = {}): Generation {
    const { tokenizer, encoding } = this.#tokens;
    const prompt = Array.from(tokens);
    const said = this.#script(tokenizer.decode(prompt), this.prompts.length);
    this.prompts.push(prompt);
    if (said === null) return super.generate(tokens, options);
    const answer = typeof said === 'string' ? tokenizer.encodeWithSpecials(said) : said;
    let next = 0;
    const forced = {
      allowed: () => ({ kind: 'only', ids: Int32Array.of(answer[next] ?? encoding.ids.return) }) as const,
      accept: () => void next++,
    };
    return super.generate(tokens, { ...options, temperature: 0, constraints: [forced] });
  }
}

export interface Scripted extends ServedModel {
  readonly engine: ScriptedEngine;
  /** Prompts so far, as text with markers by their names. */
  readonly prompts: readonly string[];
}

export function scripted(
  script: Script | string | null,
  options: EngineOptions = {},
  beforeStep?: () => void | Promise<void>,
  tokens: Tokens = tinyTokens(),
): Scripted {
  const { tokenizer, encoding } = tokens;
  const engine = new ScriptedEngine(typeof script === 'function' ? script : () => script, options, tokens, beforeStep);
  return {
    name: 'scripted',
    engine,
    encoding,
    tokenizer,
    conversation: (
      messages: readonly Message[],
      { reasoning, builtins = [] }: Parameters<ServedModel['conversation']>[1],
    ): Conversation => ({
      messages: [
        {
          role: 'system',
          content: [
            {
              type: 'system',
              identity: 'You are a script.',
              knowledgeCutoff: null,
              effort: reasoning,
              tools: builtins.map((name) => builtinTool(name).namespace),
            },
          ],
        },
        ...messages,
      ],
    }),
    get prompts() {
      return engine.prompts.map((prompt) => tokenizer.decode(prompt));
    },
  };
}

export const final = (text: string, reasoning = ''): string =>
  `${reasoning === '' ? '' : `<|channel|>analysis<|message|>${reasoning}<|end|><|start|>assistant`}<|channel|>final<|message|>${text}<|return|>`;

export const call = (name: string, given: string, reasoning = ''): string =>
  `${reasoning === '' ? '' : `<|channel|>analysis<|message|>${reasoning}<|end|><|start|>assistant`}<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>${given}<|call|>`;

/** For `expect.poll`: what comes as soon as the machine gets to it, however busy it is. */
export const patience = { timeout: 200_000 };

/** Parsed JSON that a test looks into. */
export interface Loose {
  readonly [key: string]: Loose;
}

export function list(json: Loose | undefined): readonly Loose[] {
  return (json ?? []) as unknown as readonly Loose[];
}

/** Talks to an app without a socket. */
export class Caller {
  readonly app: App;

  constructor(options: AppOptions) {
    this.app = createApp(options);
  }

  async fetch(path: string, init: RequestInit & { duplex?: 'half' } = {}): Promise<Response> {
    return this.app.fetch(new Request(`http://localhost${path}`, init));
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: text,
    });
  }

  async json(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Loose> {
    return (await this.post(path, body, headers)).json() as Promise<Loose>;
  }

  /** The data of server-sent events, or of lines of JSON. */
  async events(path: string, body: object, headers: Record<string, string> = {}): Promise<Loose[]> {
    const response = await this.post(path, path.startsWith('/api/') ? body : { ...body, stream: true }, headers);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    return text
      .split('\n')
      .map((line) => line.replace(/^data: /, ''))
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  }
}
