// The `gptoss/tokenizer` entry: o200k_harmony, or the vocabulary of a checkpoint, without a model. Runs in a browser.
// Takes bytes and reads no files: the packed vocabulary is the package's `gptoss/o200k.bin`.

export type { TokenizerData } from './formats/checkpoint.ts';
export { o200kHarmonyFrom, o200kVocabulary } from './text/o200k-harmony.ts';
export { type StreamDecoder, streamDecoder } from './text/stream-decoder.ts';
export { type Tokenizer, tokenizerFrom } from './text/tokenizer.ts';
export type { Vocabulary } from './text/vocabulary.ts';
