// Trains a byte-level BPE vocabulary: pieces of the o200k expression with single digits, the most frequent pair joined
// first, ties to the pair seen first in byte order. Forced words (harmony's, which every prompt repeats) become tokens
// whatever the text says. The result is a tokenizer.json that any Hugging Face loader and our own opens; special tokens
// follow the text tokens in harmony's order. Refuses sizes too small for the bytes and the forced words.
// Encoding with it: text/tokenizer.ts.

import { GptOssError } from '../../errors.ts';
import { bytesToAlphabet } from '../../formats/byte-alphabet.ts';
import { o200kSingleDigitPattern, o200kSplitter } from '../../text/o200k-splitter.ts';

/** In the order of o200k_harmony. */
export const harmonySpecials: readonly string[] = [
  '<|startoftext|>',
  '<|endoftext|>',
  '<|return|>',
  '<|constrain|>',
  '<|channel|>',
  '<|start|>',
  '<|end|>',
  '<|message|>',
  '<|call|>',
  '<|endofprompt|>',
];

/** Words of the format, as they stand in prompts: with the space before them where there is one. */
export const harmonyWords: readonly string[] = [
  ...['system', 'developer', 'user', 'assistant', 'analysis', 'commentary', 'final', 'functions', 'python', 'json'],
  ...[' to', ' analysis', ' commentary', ' final', ' code', 'Reasoning', ' low', ' medium', ' high', ' Valid'],
  ...[' channels', 'Channel', ' must', ' be', ' included', ' for', ' every', ' message', ' Tools', ' Instructions'],
  ...[
    ' namespace',
    ' functions',
    ' string',
    ' integer',
    ' number',
    ' boolean',
    ' any',
    'type',
    'You',
    ' are',
    ' Chat',
    'GPT',
  ],
  ...[' large', ' language', ' model', ' trained', ' by', ' Open', 'AI', 'Knowledge', ' cutoff', 'Current', ' date'],
  ...['Calls', ' these', ' tools', ' go', ' the', ' channel', ' tiny', ' gpt', 'oss'],
];

export interface BpeOptions {
  /** Ids in all, special tokens included. */
  readonly vocab: number;
  readonly words?: readonly string[]; // default harmonyWords
  readonly specials?: readonly string[];
}

interface Piece {
  ids: number[];
  readonly count: number;
}

export interface TrainedBpe {
  /** Bytes of each text token; the first 256 are the single bytes in order. */
  readonly tokens: readonly Uint8Array[];
  /** Left, right, and what they join to, in order of rank. */
  readonly merges: readonly (readonly [number, number, number])[];
  readonly special: ReadonlyMap<string, number>;
}

export function trainBpe(texts: Iterable<string>, options: BpeOptions): TrainedBpe {
  const specials = options.specials ?? harmonySpecials;
  const size = options.vocab - specials.length;
  const state = new State(countPieces(texts));
  const words = (options.words ?? harmonyWords).map((word) => new TextEncoder().encode(word));
  for (const word of words) state.force(word);
  if (state.tokens.length > size) {
    throw new GptOssError(
      'invalid-request',
      `a vocabulary of ${options.vocab} is too small; expected at least ${state.tokens.length + specials.length} for single bytes, the format's words and special tokens; choose a larger one`,
    );
  }
  while (state.tokens.length < size) {
    const pair = state.best();
    if (pair === null) {
      throw new GptOssError(
        'invalid-request',
        `the text offers only ${state.tokens.length + specials.length} tokens; expected ${options.vocab}; give more text or a smaller vocabulary`,
      );
    }
    state.join(...pair);
  }
  return {
    tokens: state.tokens,
    merges: state.merges,
    special: new Map(specials.map((name, i) => [name, size + i])),
  };
}

function countPieces(texts: Iterable<string>): Map<string, number> {
  const split = o200kSplitter(1);
  const utf8 = new TextEncoder();
  const counts = new Map<string, number>();
  for (const text of texts) {
    const bytes = utf8.encode(text);
    split(bytes, bytes.length, (start, end) => {
      if (end - start < 2) return;
      const key = latin1(bytes.subarray(start, end));
      counts.set(key, (counts.get(key) ?? 0) + 1);
    });
  }
  return counts;
}

/** One character per byte, so that bytes can be the key of a map. */
function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

const PAIR = 2 ** 21; // ids are below; a pair is left * PAIR + right

class State {
  readonly tokens: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  readonly merges: (readonly [number, number, number])[] = [];
  readonly #pieces: Piece[];
  readonly #counts = new Map<number, number>(); // of pairs
  readonly #places = new Map<number, Set<number>>(); // pieces that hold a pair (or held it)
  readonly #known = new Map<string, number>();

  constructor(counts: ReadonlyMap<string, number>) {
    for (const [id, token] of this.tokens.entries()) this.#known.set(latin1(token), id);
    const sorted = [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    this.#pieces = sorted.map(([text, count]) => ({ ids: [...text].map((c) => c.charCodeAt(0)), count }));
    for (const [i, piece] of this.#pieces.entries()) this.#count(i, piece, 1);
  }

  #count(index: number, { ids, count }: Piece, sign: 1 | -1): void {
    for (let i = 0; i + 1 < ids.length; i++) {
      const pair = ids[i]! * PAIR + ids[i + 1]!;
      this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + sign * count);
      if (sign === 1) {
        let places = this.#places.get(pair);
        if (places === undefined) this.#places.set(pair, (places = new Set()));
        places.add(index);
      }
    }
  }

  /** The most frequent pair that occurs at least twice. */
  best(): [number, number] | null {
    let best = -1;
    let most = 1;
    for (const [pair, count] of this.#counts) {
      if (count > most || (count === most && best >= 0 && pair < best)) {
        if (this.#isKnown(pair)) continue; // another way to bytes that are a token already: no new token
        [best, most] = [pair, count];
      }
    }
    return best < 0 ? null : [Math.floor(best / PAIR), best % PAIR];
  }

  #bytes(left: number, right: number): Uint8Array {
    const [a, b] = [this.tokens[left]!, this.tokens[right]!];
    const joined = new Uint8Array(a.length + b.length);
    joined.set(a);
    joined.set(b, a.length);
    return joined;
  }

  #isKnown(pair: number): boolean {
    return this.#known.has(latin1(this.#bytes(Math.floor(pair / PAIR), pair % PAIR)));
  }

  /** Joins these two wherever they meet: a new token, or a second way to one there is. Returns its id. */
  join(left: number, right: number): number {
    const bytes = this.#bytes(left, right);
    const name = latin1(bytes);
    const id = this.#known.get(name) ?? this.tokens.length;
    if (id === this.tokens.length) this.tokens.push(bytes);
    this.#known.set(name, id);
    this.merges.push([left, right, id]);
    const pair = left * PAIR + right;
    for (const index of this.#places.get(pair) ?? []) {
      const piece = this.#pieces[index]!;
      this.#count(index, piece, -1);
      piece.ids = joined(piece.ids, left, right, id);
      this.#count(index, piece, 1);
    }
    this.#places.delete(pair);
    this.#counts.delete(pair);
    return id;
  }

  /** Merges until the word is one token: its most frequent pair first, then from the left. */
  force(word: Uint8Array): void {
    let ids = Array.from(word);
    for (const [left, right, id] of this.merges) ids = joined(ids, left, right, id);
    while (ids.length > 1) {
      let [at, most] = [0, -1];
      for (let i = 0; i + 1 < ids.length; i++) {
        const count = this.#counts.get(ids[i]! * PAIR + ids[i + 1]!) ?? 0;
        if (count > most) [at, most] = [i, count];
      }
      const [left, right] = [ids[at]!, ids[at + 1]!];
      ids = joined(ids, left, right, this.join(left, right));
    }
  }
}

function joined(ids: readonly number[], left: number, right: number, id: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      out.push(id);
      i++;
    } else out.push(ids[i]!);
  }
  return out;
}

/** tokenizer.json, in the layout of the published file. */
export function bpeTokenizerJson({ tokens, merges, special }: TrainedBpe): string {
  const text = (id: number): string => bytesToAlphabet(tokens[id]!);
  const added = [...special].map(([content, id]) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return `${JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: o200kSingleDigitPattern }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: { ...byteLevel, add_prefix_space: true, use_regex: true },
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries(tokens.map((_, id) => [text(id), id])),
      merges: merges.map(([left, right]) => [text(left), text(right)]),
    },
  })}\n`;
}

/** The files beside tokenizer.json that other programs read. */
export function bpeSideFiles(
  bpe: TrainedBpe,
  context: number,
): Record<'tokenizer_config.json' | 'special_tokens_map.json', string> {
  const decoder = Object.fromEntries(
    [...bpe.special].map(([content, id]) => [
      String(id),
      { content, lstrip: false, normalized: false, rstrip: false, single_word: false, special: true },
    ]),
  );
  const names = { bos_token: '<|startoftext|>', eos_token: '<|return|>', pad_token: '<|endoftext|>' };
  const config = {
    added_tokens_decoder: decoder,
    ...names,
    clean_up_tokenization_spaces: false,
    model_input_names: ['input_ids', 'attention_mask'],
    model_max_length: context,
    tokenizer_class: 'PreTrainedTokenizerFast',
    extra_special_tokens: {},
  };
  return {
    'tokenizer_config.json': `${JSON.stringify(config, null, 2)}\n`,
    'special_tokens_map.json': `${JSON.stringify(names)}\n`,
  };
}

/** A file of ranks as tiktoken reads them: `BASE64 RANK` per line, ids being ranks. */
export function bpeRankFile({ tokens }: TrainedBpe): string {
  return tokens.map((token, id) => `${btoa(latin1(token))} ${id}\n`).join('');
}
