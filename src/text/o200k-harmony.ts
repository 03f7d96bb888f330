// o200k_harmony, the tokenizer of gpt-oss, from the packed ranks: 199,998 text tokens and the special names above them.
// Takes bytes, so that it runs anywhere; o200k-harmony.node.ts reads them from the package.
// It refuses packed bytes that are not exactly o200k: a wrong vocabulary would answer in plausible nonsense.

import { GptOssError } from '../errors.ts';
import type { TokenizerData } from '../formats/checkpoint.ts';
import { o200kSplitter } from './o200k-splitter.ts';
import { unpackVocabulary } from './packed-vocabulary.ts';
import { makeTokenizer, type Tokenizer, tokenizerFrom } from './tokenizer.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Vocabulary.fingerprint of o200k_base's ranks. */
export const o200kFingerprint = 'ac8c37905e3a60ba';

/** Rows of the embedding of gpt-oss-20b and -120b; ids from 200019 are padding with reserved names. */
const vocabSize = 201088;

/** Names of tokenizer.json where it has one; all else from 199998 on is `<|reserved_ID|>`. */
const named: readonly (readonly [number, string])[] = [
  [199998, '<|startoftext|>'],
  [199999, '<|endoftext|>'],
  [200002, '<|return|>'],
  [200003, '<|constrain|>'],
  [200005, '<|channel|>'],
  [200006, '<|start|>'],
  [200007, '<|end|>'],
  [200008, '<|message|>'],
  [200012, '<|call|>'],
  [200018, '<|endofprompt|>'],
];

export function o200kHarmonySpecials(): Map<string, number> {
  const names = new Map(named);
  const special = new Map<string, number>();
  for (let id = named[0][0]; id < vocabSize; id++) special.set(names.get(id) ?? `<|reserved_${id}|>`, id);
  return special;
}

/** The text tokens from assets/o200k.bin. */
export function o200kVocabulary(packed: Uint8Array): Vocabulary {
  const vocabulary = unpackVocabulary(packed);
  if (vocabulary.fingerprint !== o200kFingerprint) {
    throw new GptOssError(
      'bad-tokenizer',
      'the packed vocabulary is not o200k; expected assets/o200k.bin as published; reinstall the package',
    );
  }
  return vocabulary;
}

export function o200kHarmonyFrom(vocabulary: Vocabulary): Tokenizer {
  return makeTokenizer({
    vocabulary,
    special: o200kHarmonySpecials(),
    merges: null,
    splitter: o200kSplitter(3),
    wholePieces: true,
  });
}

/** The tokenizer of a checkpoint with `vocab` embedding rows; `data` null: it ships none, and gets o200k_harmony if that
 *  fits and `packed`, the bytes of assets/o200k.bin, are there. */
export function tokenizerOf(data: TokenizerData | null, vocab: number, packed?: Uint8Array): Tokenizer {
  if (data !== null) return tokenizerFrom(data, data.isO200k && packed ? o200kVocabulary(packed) : undefined);
  checkFit(vocab);
  if (packed === undefined) {
    const message = 'the checkpoint has no tokenizer; expected the packed o200k vocabulary in its place';
    throw new GptOssError('bad-tokenizer', `${message}; give the bytes of gptoss/o200k.bin`);
  }
  return o200kHarmonyFrom(o200kVocabulary(packed));
}

/** Refuses o200k_harmony for an embedding of another size. */
export function checkFit(vocab: number): void {
  if (vocab === vocabSize) return;
  const message = `the checkpoint has no tokenizer and ${vocab} embedding rows; o200k_harmony needs ${vocabSize}`;
  throw new GptOssError('bad-tokenizer', `${message}; put its tokenizer.json beside the weights`);
}
