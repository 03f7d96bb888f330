// Text to token ids and back: byte-level BPE over any vocabulary, o200k_harmony first of all.
// Two ways in: `encode` for what users and tools write (marker text stays text) and `encodeWithSpecials` for template
// text. Special ids come from the data. It refuses vocabularies that cannot spell every text.
// How text is cut into pieces: o200k-splitter.ts; how a piece is merged: byte-pairs.ts; streams: stream-decoder.ts.

import { GptOssError } from '../errors.ts';
import type { TokenizerData } from '../formats/checkpoint.ts';
import { BytePairMerger } from './byte-pairs.ts';
import { MergeTable } from './merge-table.ts';
import { o200kPattern, o200kSingleDigitPattern, o200kSplitter, type Splitter } from './o200k-splitter.ts';
import { longestCached, PieceCache } from './piece-cache.ts';
import { SpecialTokens } from './special-tokens.ts';
import { patternSplitter } from './split-matcher.ts';
import { type StreamDecoder, streamDecoder } from './stream-decoder.ts';
import { hashBytes, Vocabulary } from './vocabulary.ts';

export interface Tokenizer {
  /** One past the highest id that has text or a name. The embedding may have more rows. */
  readonly vocabSize: number;
  /** The text tokens; special ids are empty in it. */
  readonly vocabulary: Vocabulary;
  /** Ids of ordinary text: `<|start|>` in it is five text tokens. Unpaired surrogates count as U+FFFD. */
  encode(text: string): number[];
  /** Ids of template text: names of special tokens in it become their ids. Never for text from users or tools. */
  encodeWithSpecials(text: string): number[];
  /** Bytes of all tokens, special ones as their names; ids without text give none. */
  decodeBytes(ids: Iterable<number>): Uint8Array<ArrayBuffer>;
  /** The same as text; invalid UTF-8 becomes U+FFFD. */
  decode(ids: Iterable<number>): string;
  /** A decoder for one stream. */
  decoder(): StreamDecoder;
  /** Id of a special token by its name, e.g. `<|start|>`. */
  special(name: string): number | undefined;
  specialName(id: number): string | undefined;
  isSpecial(id: number): boolean;
  /** Bytes of a text token, to read only; null for special tokens and ids that the vocabulary does not have. */
  tokenBytes(id: number): Uint8Array | null;
}

/** What a tokenizer is made of once the vocabulary is in its compact form. */
export interface TokenizerParts {
  readonly vocabulary: Vocabulary;
  readonly special: ReadonlyMap<string, number>;
  /** Null: ranks follow ids. */
  readonly merges: MergeTable | null;
  readonly splitter: Splitter;
  /** A piece that is a token is emitted without merging. Always so where ranks follow ids. */
  readonly wholePieces: boolean;
}

/** `o200k`: the packed vocabulary, taken instead of the data's own where they are the same. */
export function tokenizerFrom(data: TokenizerData, o200k?: Vocabulary): Tokenizer {
  const vocabulary = data.isO200k && o200k !== undefined ? o200k : Vocabulary.of(textTokens(data));
  const merges = data.merges;
  return makeTokenizer({
    vocabulary,
    special: data.special,
    merges: merges === null ? null : new MergeTable(vocabulary, merges),
    splitter: splitterFor(data.pattern),
    wholePieces: merges === null || data.ignoreMerges,
  });
}

export function makeTokenizer(parts: TokenizerParts): Tokenizer {
  checkCoverage(parts.vocabulary);
  return new BytePairTokenizer(parts);
}

/** An id that is special is no text token, whatever the list of tokens says. */
function textTokens(data: TokenizerData): readonly (Uint8Array | null)[] {
  const tokens = data.tokens;
  const clashes = [...data.special.values()].filter((id) => tokens[id]);
  if (clashes.length === 0) return tokens;
  const copy = [...tokens];
  for (const id of clashes) copy[id] = null;
  return copy;
}

function splitterFor(pattern: string | null): Splitter {
  if (pattern === null || pattern === o200kPattern) return o200kSplitter(3);
  if (pattern === o200kSingleDigitPattern) return o200kSplitter(1);
  return patternSplitter(pattern);
}

/** C0, C1 and F5 … FF never occur in UTF-8; every other byte needs a token, or some text could not be said. */
function checkCoverage(vocabulary: Vocabulary): void {
  for (let byte = 0; byte < 0xf5; byte++) {
    if (vocabulary.byteIds[byte] >= 0 || byte === 0xc0 || byte === 0xc1) continue;
    const found = `the vocabulary has no token for the byte 0x${byte.toString(16).padStart(2, '0')}`;
    throw new GptOssError(
      'bad-tokenizer',
      `${found}; expected a byte-level BPE vocabulary; use the model's own tokenizer`,
    );
  }
}

const utf8 = new TextEncoder();
const noBytes = new Uint8Array(0);

class BytePairTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly vocabulary: Vocabulary;
  readonly #special: SpecialTokens;
  readonly #splitter: Splitter;
  readonly #wholePieces: boolean;
  readonly #merger: BytePairMerger;
  readonly #cache = new PieceCache();
  readonly #specialBytes = new Map<number, Uint8Array>();

  constructor(parts: TokenizerParts) {
    this.vocabulary = parts.vocabulary;
    this.#special = new SpecialTokens(parts.special);
    this.#splitter = parts.splitter;
    this.#wholePieces = parts.wholePieces;
    this.#merger = new BytePairMerger(parts.vocabulary, parts.merges);
    this.vocabSize = Math.max(parts.vocabulary.size, this.#special.bound);
    for (const [name, id] of parts.special) {
      if (!this.#specialBytes.has(id)) this.#specialBytes.set(id, utf8.encode(name));
    }
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    this.#encodeInto(text, ids);
    return ids;
  }

  encodeWithSpecials(text: string): number[] {
    const ids: number[] = [];
    this.#special.split(
      text,
      (part) => this.#encodeInto(part, ids),
      (id) => ids.push(id),
    );
    return ids;
  }

  decodeBytes(ids: Iterable<number>): Uint8Array<ArrayBuffer> {
    let out = new Uint8Array(256);
    let length = 0;
    for (const id of ids) {
      const token = this.#bytesOf(id);
      if (length + token.length > out.length) {
        const larger = new Uint8Array((length + token.length) * 2);
        larger.set(out.subarray(0, length));
        out = larger;
      }
      out.set(token, length);
      length += token.length;
    }
    return out.slice(0, length);
  }

  decode(ids: Iterable<number>): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.decodeBytes(ids));
  }

  decoder(): StreamDecoder {
    return streamDecoder((id) => this.#bytesOf(id));
  }

  special(name: string): number | undefined {
    return this.#special.ids.get(name);
  }

  specialName(id: number): string | undefined {
    return this.#special.name(id);
  }

  isSpecial(id: number): boolean {
    return this.#specialBytes.has(id);
  }

  tokenBytes(id: number): Uint8Array | null {
    if (this.#specialBytes.has(id)) return null;
    const bytes = this.vocabulary.token(id);
    return bytes.length === 0 ? null : bytes;
  }

  #bytesOf(id: number): Uint8Array {
    if (!Number.isInteger(id) || id < 0) {
      throw new GptOssError(
        'invalid-request',
        `${id} is no token id; expected a whole number from 0; check the list of ids`,
      );
    }
    return this.#specialBytes.get(id) ?? (id < this.vocabulary.size ? this.vocabulary.token(id) : noBytes);
  }

  #encodeInto(text: string, ids: number[]): void {
    const bytes = utf8.encode(text);
    this.#splitter(bytes, bytes.length, (start, end) => this.#encodePiece(bytes, start, end, ids));
  }

  #encodePiece(bytes: Uint8Array, start: number, end: number, ids: number[]): void {
    const length = end - start;
    if (length > this.vocabulary.longest && length > longestCached) {
      this.#merger.merge(bytes, start, end, ids);
      return;
    }
    const hash = hashBytes(bytes, start, end);
    const whole = this.#wholePieces ? this.vocabulary.find(hash, bytes, start, end) : -1;
    if (whole >= 0) {
      ids.push(whole);
      return;
    }
    if (this.#cache.recall(hash, bytes, start, end, ids)) return;
    const from = ids.length;
    this.#merger.merge(bytes, start, end, ids);
    this.#cache.keep(hash, bytes, start, end, ids, from);
  }
}
