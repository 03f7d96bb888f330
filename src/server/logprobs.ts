// Log-probabilities in OpenAI's two forms: of chat (objects with bytes) and of completions (parallel lists).
// Next: chat-completions.ts.

import type { GeneratedToken } from '../engine/generation.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

interface ChatLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatTokenLogprob extends ChatLogprob {
  readonly top_logprobs: readonly ChatLogprob[];
}

/** A token that cannot occur has -Infinity, which JSON does not know. */
const LEAST = -9999;

export function chatLogprobs(tokens: readonly GeneratedToken[], tokenizer: Tokenizer): ChatTokenLogprob[] {
  const one = (id: number, logprob: number): ChatLogprob => ({
    token: tokenizer.decode([id]),
    logprob: Math.max(LEAST, logprob),
    bytes: Array.from(tokenizer.decodeBytes([id])),
  });
  return tokens.map(({ id, logprob, top }) => ({
    ...one(id, logprob ?? LEAST),
    top_logprobs: (top ?? []).map((other) => one(other.id, other.logprob)),
  }));
}
