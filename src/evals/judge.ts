// A model that grades: asked at a URL, named in the result, given a question and told to answer in JSON. An answer that is
// no JSON, or lacks a field, is asked for again; what still fails is an error of that sample, never a zero.
// Next: benchmarks/hle.ts, benchmarks/healthbench.ts, which say what is asked.

import type { Message } from '../text/harmony/messages.ts';
import type { Answerer } from './task.ts';

const TRIES = 3;
const MOST_BRACES = 64;

export class JudgeError extends Error {}

export interface Judge {
  /** Model and address, for the result. */
  readonly name: string;
  /** Asks until `read` accepts the JSON object that came back. Throws JudgeError. */
  ask<T>(prompt: string, read: (object: Readonly<Record<string, unknown>>) => T | null): Promise<T>;
}

export function judgeOf(answerer: Answerer, seed: number, signal: AbortSignal): Judge {
  return {
    name: answerer.description,
    async ask(prompt, read) {
      let problem = '';
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const messages: Message[] = [{ role: 'user', content: prompt }];
        let text: string;
        try {
          ({ text } = await answerer.answer(
            { messages, level: 'low', temperature: attempt === 0 ? 0 : 1, seed: seed + attempt, maxTokens: 4096 },
            signal,
          ));
        } catch (error) {
          if (signal.aborted) throw error;
          throw new JudgeError(`the judge ${answerer.description} gave no answer: ${(error as Error).message}`);
        }
        const object = lastObject(text);
        const value = object === null ? null : read(object);
        if (value !== null) return value;
        problem = text.slice(0, 120);
      }
      throw new JudgeError(
        `the judge ${answerer.description} did not answer in the form that was asked for: ${problem}`,
      );
    },
  };
}

/** The last complete JSON object in a text that may have words or a fence around it. Gives up on a text of braces. */
export function lastObject(text: string): Readonly<Record<string, unknown>> | null {
  const end = text.lastIndexOf('}');
  let start = end;
  for (let tries = 0; tries < MOST_BRACES && start > 0; tries++) {
    start = text.lastIndexOf('{', start - 1);
    if (start < 0) return null;
    try {
      const value: unknown = JSON.parse(text.slice(start, end + 1));
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // a wider stretch may be one
    }
  }
  return null;
}
