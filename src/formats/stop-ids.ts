// Which token ids end a generation. What files name is often incomplete (the first generation_config.json lacked
// <|call|>, GGUF names one id) or wrong (<|end|> would cut the answer off after the reasoning), so the tokens that stop
// by the format itself are added by their text, and <|end|> is never one.

import type { TokenizerData } from './checkpoint.ts';

const STOPPING = ['<|return|>', '<|call|>', '<|endoftext|>'];
/** Rows of the published embedding, and the stop ids of the vocabulary that goes with it. */
const O200K_HARMONY_ROWS = 201_088;
const O200K_HARMONY_STOPS = [199_999, 200_002, 200_012];

/** `named`: values of the various eos fields: an id, a list, or anything else (ignored). */
export function stopIdsOf(
  named: readonly unknown[],
  tokenizer: TokenizerData | null,
  vocab: number,
): readonly number[] {
  const ids = new Set<number>();
  for (const value of named) {
    for (const id of Array.isArray(value) ? value.slice(0, 64) : [value]) {
      if (Number.isSafeInteger(id) && id >= 0 && id < vocab) ids.add(id);
    }
  }
  if (tokenizer === null && vocab === O200K_HARMONY_ROWS) for (const id of O200K_HARMONY_STOPS) ids.add(id);
  if (tokenizer !== null) {
    for (const text of STOPPING) {
      const id = tokenizer.special.get(text);
      if (id !== undefined) ids.add(id);
    }
    const end = tokenizer.special.get('<|end|>');
    if (end !== undefined) ids.delete(end);
  }
  return [...ids].sort((a, b) => a - b);
}
