// TokenizerData from tokenizer.json (Hugging Face, byte-level BPE) and from GGUF metadata. Vocabulary strings use GPT-2's
// byte alphabet (Ġ for a space); here they become bytes in one buffer. A vocabulary of 200,000 tokens must cost
// milliseconds, so arrays of tokens and merges are built only when asked for, and o200k's own merges never: they are
// every split of every token in order of id, so ranks suffice. Encoding text: text/tokenizer.ts.

import { GptOssError } from '../errors.ts';
import { byteOfChar, TokenBytes } from './byte-alphabet.ts';
import type { TokenizerData } from './checkpoint.ts';
import type { GgufArray, GgufFile } from './gguf.ts';
import { parseJsonObject, shown } from './messages.ts';
import { takeApart } from './tokenizer-json.ts';

const MAX_PATTERN_LENGTH = 4096;

/** The expression of GPT-2, meant by a ByteLevel pre-tokenizer that brings its own. */
const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

type Merges = readonly (readonly [Uint8Array, Uint8Array])[];

function bad(file: string, what: string): GptOssError {
  return new GptOssError(
    'bad-tokenizer',
    `${file}: ${what}; expected a byte-level BPE vocabulary; get the tokenizer that belongs to the weights`,
  );
}

/** Checks what both sources share, then hides the arrays behind getters. */
function finish(
  file: string,
  table: TokenBytes,
  special: ReadonlyMap<string, number>,
  readMerges: () => Merges,
  rest: { pattern: string | null; ignoreMerges: boolean },
): TokenizerData {
  const isO200k = table.isO200k();
  if (!isO200k) {
    const double = table.firstDuplicate();
    if (double !== null) throw bad(file, `tokens ${double[0]} and ${double[1]} are the same bytes`);
    const missing = table.missingByte();
    if (missing !== null) throw bad(file, `no token stands for byte ${missing}`);
  }
  let tokens: (Uint8Array | null)[] | null = null;
  let merges: Merges | null = null;
  return {
    isO200k,
    get tokens() {
      tokens ??= table.toArray();
      return tokens;
    },
    special,
    get merges() {
      if (isO200k) return null;
      merges ??= readMerges();
      return merges;
    },
    ...rest,
  };
}

function object(file: string, value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(file, `${what} is not an object`);
  return value as Record<string, unknown>;
}

/** `vocab`: rows of the embedding; every id must be below. */
export function tokenizerFromJson(bytes: Uint8Array, file: string, vocab: number): TokenizerData {
  const scanned = new Words(file, vocab, bytes.length / 8);
  const decoder = new TextDecoder();
  const parts = takeApart(bytes, (start, end, escaped, id) => {
    scanned.check(id, end - start);
    if (escaped) scanned.table.setText(id, parseText(file, decoder.decode(bytes.subarray(start - 1, end + 1))));
    else scanned.table.setUtf8(id, bytes, start, end);
  });
  const json = parseJsonObject(file, parts === null ? bytes : parts.rest);
  const model = object(file, json['model'], 'model');
  if (model['type'] !== 'BPE' && model['type'] !== undefined)
    throw bad(file, `model type is ${shown(String(model['type']))}, not BPE`);
  checkNormalizer(file, json['normalizer']);
  const { table } = parts === null ? readWords(model['vocab'], file, vocab) : scanned;
  const special = new Map<string, number>();
  const added = json['added_tokens'] ?? [];
  if (!Array.isArray(added) || added.length > vocab) throw bad(file, 'added_tokens is not a list');
  for (const item of added) {
    const { id, content } = object(file, item, 'an added token');
    checkId(file, id, vocab);
    if (typeof content !== 'string' || content === '') throw bad(file, `added token ${id} has no text`);
    if (special.has(content)) throw bad(file, `added token ${shown(content)} occurs twice`);
    special.set(content, id);
    table.clear(id); // some files list it among the words as well
  }
  return finish(
    file,
    table,
    special,
    () => jsonMerges(file, parts === null ? model['merges'] : parseMerges(file, parts.merges)),
    { pattern: splitPattern(file, json['pre_tokenizer']), ignoreMerges: model['ignore_merges'] === true },
  );
}

/** Words as they arrive, each checked before it enters the table. */
class Words {
  readonly table: TokenBytes;
  private count = 0;
  private readonly file: string;
  private readonly vocab: number;

  constructor(file: string, vocab: number, capacity: number) {
    this.file = file;
    this.vocab = vocab;
    this.table = new TokenBytes(vocab, Math.ceil(capacity));
  }

  check(id: unknown, length: number): void {
    const { file, vocab } = this;
    if (++this.count > vocab) throw bad(file, `it has more tokens than the model's vocabulary of ${vocab}`);
    checkId(file, id, vocab);
    if (length === 0) throw bad(file, `token ${id} is empty`);
    if (this.table.has(id)) throw bad(file, `two tokens have id ${id}`);
  }
}

function readWords(vocabulary: unknown, file: string, vocab: number): Words {
  const words = new Words(file, vocab, 1024);
  for (const [text, id] of Object.entries(object(file, vocabulary, 'model.vocab'))) {
    words.check(id, text.length);
    words.table.setText(id as number, text);
  }
  return words;
}

function parseText(file: string, json: string): string {
  try {
    return JSON.parse(json) as string;
  } catch {
    throw bad(file, `token ${shown(json)} is not a JSON string`);
  }
}

function parseMerges(file: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw bad(file, 'model.merges is not valid JSON');
  }
}

function checkId(file: string, id: unknown, vocab: number): asserts id is number {
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0 || id >= vocab)
    throw bad(file, `token id ${shown(String(id))} is not below the model's vocabulary of ${vocab}`);
}

/** Text is encoded as it is; a normalizer would silently give other ids. */
function checkNormalizer(file: string, normalizer: unknown): void {
  if (normalizer === null || normalizer === undefined) return;
  const list = (normalizer as { normalizers?: unknown }).normalizers;
  if (!Array.isArray(list) || list.length > 0) throw bad(file, 'it has a normalizer');
}

/** The Split expression among the pre-tokenizers. */
function splitPattern(file: string, pre: unknown): string | null {
  const { type, pretokenizers } = object(file, pre, 'pre_tokenizer');
  const parts: unknown[] = type === 'Sequence' && Array.isArray(pretokenizers) ? pretokenizers : [pre];
  let byteLevel = false;
  for (const part of parts.slice(0, 16)) {
    const p = object(file, part, 'a pre-tokenizer');
    if (p['type'] === 'Split') {
      const pattern = object(file, p['pattern'], 'the Split pattern')['Regex'];
      if (typeof pattern !== 'string' || pattern.length > MAX_PATTERN_LENGTH || p['invert'] === true)
        throw bad(file, 'its Split pre-tokenizer is not a regular expression of sensible length');
      return pattern;
    }
    byteLevel ||= p['type'] === 'ByteLevel' && p['use_regex'] !== false;
  }
  if (byteLevel) return GPT2_PATTERN;
  throw bad(file, 'it has no Split or ByteLevel pre-tokenizer');
}

const encoder = new TextEncoder();

function alphabetBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    const byte = char < byteOfChar.length ? byteOfChar[char] : -1;
    if (byte < 0) return encoder.encode(text);
    bytes[i] = byte;
  }
  return bytes;
}

function mergePair(file: string, left: unknown, right: unknown): readonly [Uint8Array, Uint8Array] {
  if (typeof left !== 'string' || typeof right !== 'string' || left === '' || right === '')
    throw bad(file, 'a merge is not a pair of strings');
  return [alphabetBytes(left), alphabetBytes(right)];
}

/** "a b": no token holds a space in this alphabet. */
function mergeLine(file: string, line: string): readonly [Uint8Array, Uint8Array] {
  const space = line.indexOf(' ', 1);
  if (space < 0) throw bad(file, `merge ${shown(line)} has no space`);
  return mergePair(file, line.slice(0, space), line.slice(space + 1));
}

function jsonMerges(file: string, merges: unknown): Merges {
  if (!Array.isArray(merges)) throw bad(file, 'model.merges is not a list');
  return merges.map((m: unknown) => {
    if (typeof m === 'string') return mergeLine(file, m);
    if (!Array.isArray(m) || m.length !== 2) throw bad(file, 'a merge is not a pair');
    return mergePair(file, m[0], m[1]);
  });
}

/** Token types of GGUF. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * `pattern` is always null here: files name their pre-tokenizer by a label that early Ollama files lack and some
 * converters get wrong, while every gpt-oss uses o200k's expression.
 */
export function tokenizerFromGguf(gguf: GgufFile, file: string, vocab: number): TokenizerData | null {
  const words = stringArray(gguf, file, 'tokenizer.ggml.tokens');
  if (words === null) return null;
  const model = gguf.fields.get('tokenizer.ggml.model')?.value;
  if (model !== 'gpt2') throw bad(file, `tokenizer.ggml.model is ${shown(String(model))}, not "gpt2"`);
  if (words.count > vocab) throw bad(file, `it has ${words.count} tokens, but the embedding has ${vocab} rows`);
  const typeField = gguf.fields.get('tokenizer.ggml.token_type')?.value;
  if (typeof typeField !== 'object' || typeField.type === 'string' || typeField.count !== words.count)
    throw bad(file, `tokenizer.ggml.token_type does not have ${words.count} numbers`);
  const types = typeField.numbers();
  const { bytes, starts, ends } = words.stringBytes();
  const table = new TokenBytes(vocab, bytes.length);
  const special = new Map<string, number>();
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let id = 0; id < words.count; id++) {
    const type = types[id];
    if (type === UNUSED) continue;
    if (starts[id] === ends[id]) throw bad(file, `token ${id} is empty`);
    if (type === NORMAL) table.setUtf8(id, bytes, starts[id], ends[id]);
    else if (type === CONTROL || type === USER_DEFINED) {
      let text: string;
      try {
        text = decoder.decode(bytes.subarray(starts[id], ends[id]));
      } catch {
        throw bad(file, `special token ${id} is not valid UTF-8`);
      }
      if (special.has(text)) throw bad(file, `special token ${shown(text)} occurs twice`);
      special.set(text, id);
    } else throw bad(file, `token ${id} has type ${type}, which byte-level vocabularies do not have`);
  }
  return finish(
    file,
    table,
    special,
    () => {
      const merges = stringArray(gguf, file, 'tokenizer.ggml.merges');
      if (merges === null) throw bad(file, 'tokenizer.ggml.merges is missing');
      return merges.strings().map((line) => mergeLine(file, line));
    },
    { pattern: null, ignoreMerges: true },
  );
}

function stringArray(gguf: GgufFile, file: string, key: string): GgufArray | null {
  const value = gguf.fields.get(key)?.value;
  if (value === undefined) return null;
  if (typeof value !== 'object' || value.type !== 'string') throw bad(file, `${key} is not a list of strings`);
  return value;
}
