// The packed o200k vocabulary of this package under Node, read once per process, and the tokenizer that belongs to a
// checkpoint: its own, or o200k_harmony when it ships none. Browsers fetch the file and call o200k-harmony.ts.

import { readFileSync } from 'node:fs';
import { GptOssError } from '../errors.ts';
import type { TokenizerData } from '../formats/checkpoint.ts';
import { checkFit, o200kHarmonyFrom, o200kVocabulary } from './o200k-harmony.ts';
import { type Tokenizer, tokenizerFrom } from './tokenizer.ts';
import type { Vocabulary } from './vocabulary.ts';

const assetUrl = new URL('../../assets/o200k.bin', import.meta.url); // the same from src/text and dist/text
let vocabulary: Vocabulary | undefined;
let harmony: Tokenizer | undefined;

/** The 199,998 text tokens of o200k. */
export function packagedO200k(): Vocabulary {
  if (vocabulary === undefined) {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(assetUrl);
    } catch (cause) {
      const message = `cannot read ${assetUrl.pathname}; expected the vocabulary that ships with the package; reinstall it`;
      throw new GptOssError('bad-tokenizer', message, { cause });
    }
    vocabulary = o200kVocabulary(bytes);
  }
  return vocabulary;
}

/** o200k_harmony. */
export function o200kHarmony(): Tokenizer {
  harmony ??= o200kHarmonyFrom(packagedO200k());
  return harmony;
}

/** The tokenizer of a checkpoint with `vocab` embedding rows; `data` null: it ships none. */
export function tokenizerOf(data: TokenizerData | null, vocab: number): Tokenizer {
  if (data !== null) return tokenizerFrom(data, data.isO200k ? packagedO200k() : undefined);
  checkFit(vocab);
  return o200kHarmony();
}
