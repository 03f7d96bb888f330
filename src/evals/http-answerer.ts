// Answers questions at a URL, in either of OpenAI's dialects. Harmony messages become what these dialects can say: the
// structured system message becomes the reasoning effort (a server has its own), declared functions become tools. A server
// that refuses a parameter is asked without it, and `notes` say so. Next: dialects.ts (bodies), http.ts (requests).

import { type ChatPart, type Dialect, dialects, type HttpCall } from './dialects.ts';
import { type Endpoint, type Loose, request } from './http.ts';
import { AnswerError } from './runner.ts';
import type { Answer, Answerer, Question } from './task.ts';

export interface HttpAnswererInit {
  readonly endpoint: Endpoint;
  readonly model: string;
  readonly api: 'chat' | 'responses';
  readonly maxTokens?: number;
  /** Sent with each request as it is. */
  readonly sendsEffort: boolean;
}

interface Step {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly HttpCall[];
  readonly isCut: boolean;
  readonly usage: Answer['usage'];
}

export class HttpAnswerer implements Answerer {
  readonly description: string;
  /** What the server did not take. */
  readonly notes = new Set<string>();
  readonly #init: HttpAnswererInit;
  readonly #dialect: Dialect;
  readonly #refused = new Set<string>();

  constructor(init: HttpAnswererInit) {
    this.#init = init;
    this.#dialect = dialects[init.api];
    this.description = `${init.model} at ${init.endpoint.url}`;
  }

  async answer(question: Question, signal: AbortSignal): Promise<Answer> {
    const start = performance.now();
    const history: ChatPart[] = this.#dialect.history(question.messages);
    const steps: Step[] = [];
    for (let calls = 0; ; calls++) {
      const json = await this.#ask(question, history, calls, signal);
      const step = this.#dialect.read(json);
      if (step === null) throw new AnswerError(`${this.description} answered in a form that is not known`, false);
      steps.push(step);
      const isCall = step.calls.length > 0 && question.call !== undefined && calls < (question.maxCalls ?? 8);
      if (!isCall) return { ...answerOf(steps, calls), ms: Math.round(performance.now() - start) };
      const outputs = step.calls.map((call) =>
        question.call!({ name: `functions.${call.name}`, arguments: parsed(call.arguments), text: call.arguments }),
      );
      history.push(...this.#dialect.results(json, step.calls, outputs));
    }
  }

  async close(): Promise<void> {}

  async #ask(question: Question, history: readonly ChatPart[], calls: number, signal: AbortSignal): Promise<Loose> {
    const { endpoint, model, maxTokens, sendsEffort } = this.#init;
    for (;;) {
      const without = new Set(this.#refused); // others may find out at the same time
      const body = this.#dialect.body(model, history, {
        messages: question.messages,
        temperature: without.has('temperature') ? null : question.temperature,
        seed: without.has('seed') ? null : question.seed + calls,
        maxTokens: question.maxTokens ?? maxTokens ?? null,
        usesOldName: !without.has('max_tokens'),
        level: sendsEffort ? question.level : null,
      });
      try {
        return await request(endpoint, 'POST', this.#dialect.path, body, signal);
      } catch (error) {
        const refused = error instanceof AnswerError && !error.retry ? parameterIn(error.message, without) : null;
        if (refused === null) throw error;
        this.#refused.add(refused);
        if (refused !== 'max_tokens') this.notes.add(`the server takes no ${refused}: it was left out`);
      }
    }
  }
}

/** The parameter that a complaint is about, if leaving it out may help. */
function parameterIn(message: string, without: ReadonlySet<string>): string | null {
  return ['max_tokens', 'temperature', 'seed'].find((name) => message.includes(name) && !without.has(name)) ?? null;
}

function answerOf(steps: readonly Step[], calls: number): Omit<Answer, 'ms'> {
  const last = steps.at(-1)!;
  const reasoning = steps.map(({ usage }) => usage.reasoningTokens);
  return {
    text: last.text,
    reasoning: steps
      .map((step) => step.reasoning)
      .filter((part) => part !== '')
      .join('\n\n'),
    finish: last.isCut ? 'length' : last.calls.length > 0 ? 'tool_calls' : 'stop',
    isFinal: last.text !== '',
    isMalformed: null,
    calls,
    usage: {
      promptTokens: steps[0]!.usage.promptTokens,
      completionTokens: steps.reduce((sum, { usage }) => sum + usage.completionTokens, 0),
      reasoningTokens: reasoning.includes(null) ? null : reasoning.reduce<number>((sum, count) => sum + count!, 0),
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
