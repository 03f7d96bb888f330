// Run as a process of its own by hostile-memory.test.ts: opens files of at most 1 MB that were made to cost memory, one
// after the other, and prints what the process needed at most. Everything that opening leaves for later is asked for too:
// vocabulary, merges, the text splitter, stop ids, the chat template.

import type { Checkpoint } from '../src/formats/checkpoint.ts';
import { attempt, fuzz, touch } from '../src/formats/fuzz.testing.ts';
import {
  ggufBytes,
  openBytes,
  openTinyFolder,
  RawBytes,
  tinyConfigJson,
  tinyGgufFields,
  tinyTokenizerJson,
  utf8,
} from '../src/formats/hostile.testing.ts';
import { renderTemplate } from '../src/text/harmony/template-sandbox.ts';
import { tokenizerOf } from '../src/text/o200k-harmony.node.ts';

const MB = 1_000_000;

function useAll(checkpoint: Checkpoint): void {
  touch(checkpoint);
  tokenizerOf(checkpoint.tokenizer, checkpoint.config.vocab).encode('hello there 123');
  if (checkpoint.chatTemplate !== null) renderTemplate(checkpoint.chatTemplate);
}

const gguf = (tensors: number | bigint, fields: number | bigint): RawBytes =>
  new RawBytes().text('GGUF').u32(3).u64(tensors).u64(fields);
const filled = (head: RawBytes, unit: Uint8Array): Uint8Array => {
  const start = head.done();
  const bytes = new Uint8Array(MB);
  bytes.set(start);
  for (let at = start.length; at + unit.length <= MB; at += unit.length) bytes.set(unit, at);
  return bytes;
};
const header = (text: string): Uint8Array => {
  const json = utf8(text);
  return new RawBytes().u64(json.length).text(text).done();
};
const repeat = (text: string, end = MB - 200): string => text.repeat(Math.floor(end / text.length));
const field = (key: string, type: number): RawBytes => gguf(0, 1).string(key).u32(type);
const tokenizer = (change: (json: Record<string, unknown>, model: Record<string, unknown>) => void) => () => {
  const json = structuredClone(tinyTokenizerJson());
  change(json, json['model'] as Record<string, unknown>);
  useAll(openTinyFolder({ 'tokenizer.json': json }));
};
const pattern = (regex: string) =>
  tokenizer((json) => {
    json['pre_tokenizer'] = { type: 'Split', pattern: { Regex: regex } };
  });
const template = (text: string) => () => useAll(openTinyFolder({ 'chat_template.jinja': utf8(text) }));
const safetensors = (text: string) => () => useAll(openTinyFolder({ 'model.safetensors': header(text) }));
const config = (text: string) => () => useAll(openTinyFolder({ 'config.json': utf8(text) }));

const tensorRecord = new RawBytes().string('t').u32(1).u64(1).u32(0).u64(0).done();
const emptyField = new RawBytes().string('k').u32(8).string('').done();
const manyTokens = Array.from({ length: 20_000 }, (_, i) => `t${i}`);

/** Each within 1 MB; refused or not, it must cost little. */
const hungry: Record<string, () => void> = {
  'GGUF: 2^64 − 1 fields': () => useAll(openBytes(filled(gguf(0, 2n ** 64n - 1n), emptyField))),
  'GGUF: 2^64 − 1 tensors': () => useAll(openBytes(filled(gguf(2n ** 64n - 1n, 0), tensorRecord))),
  'GGUF: 40,000 fields': () => useAll(openBytes(filled(gguf(0, 40_000), emptyField))),
  'GGUF: 30,000 tensors': () => useAll(openBytes(filled(gguf(30_000, 0), tensorRecord))),
  'GGUF: an array of 120,000 empty strings': () =>
    useAll(openBytes(filled(field('tokenizer.ggml.tokens', 9).u32(8).u64(120_000), new Uint8Array(8)))),
  'GGUF: an array of 900,000 bytes': () =>
    useAll(openBytes(filled(field('tokenizer.ggml.token_type', 9).u32(0).u64(900_000), new Uint8Array(8)))),
  'GGUF: a string of 2^62 bytes': () => useAll(openBytes(filled(field('a', 8).u64(2n ** 62n), emptyField))),
  'GGUF: an alignment of 2^31': () => useAll(openBytes(filled(field('general.alignment', 4).u32(2 ** 31), emptyField))),
  'GGUF: 20,000 tokens': () => {
    const fields = tinyGgufFields();
    fields.set('tokenizer.ggml.tokens', { type: 'array', element: 'string', values: manyTokens });
    useAll(openBytes(ggufBytes(fields)));
  },
  'GGUF: 40,000 merges': () => {
    const fields = tinyGgufFields();
    fields.set('tokenizer.ggml.merges', { type: 'array', element: 'string', values: Array(40_000).fill('a b') });
    useAll(openBytes(ggufBytes(fields)));
  },
  'GGUF: a chat template of 900 KB': () => {
    const fields = tinyGgufFields();
    fields.set('tokenizer.chat_template', { type: 'string', value: repeat('{{ messages }}', 900_000) });
    useAll(openBytes(ggufBytes(fields)));
  },
  'safetensors: a header of 2^62 bytes': () =>
    useAll(openTinyFolder({ 'model.safetensors': filled(new RawBytes().u64(2n ** 62n), utf8('{')) })),
  'safetensors: nested lists': safetensors(repeat('[')),
  'safetensors: nested objects': safetensors(repeat('{"a":')),
  'safetensors: 300,000 empty objects': safetensors(`{"a":[${repeat('{},')}{}]}`),
  'safetensors: 15,000 tensors': safetensors(
    `{${Array.from({ length: 15_000 }, (_, i) => `"t${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join()}}`,
  ),
  'safetensors: a shape of 400,000 dimensions': safetensors(
    `{"a":{"dtype":"F32","shape":[${repeat('1,')}1],"data_offsets":[0,4]}}`,
  ),
  'config.json: nested lists': config(repeat('[')),
  'config.json: a list of 30,000 layer types': config(
    JSON.stringify({ ...tinyConfigJson(), layer_types: Array(30_000).fill('sliding_attention') }),
  ),
  'config.json: the largest shapes that are allowed': config(
    JSON.stringify({ ...tinyConfigJson(), num_hidden_layers: 1024, hidden_size: 65536, vocab_size: 4194304 }),
  ),
  'config.json: more layers than the file has': config(
    JSON.stringify({ ...tinyConfigJson(), num_hidden_layers: 1000 }),
  ),
  'tokenizer.json: 20,000 tokens': tokenizer((_, model) => {
    model['vocab'] = Object.fromEntries(manyTokens.map((t, id) => [t, id]));
  }),
  'tokenizer.json: 40,000 merges': tokenizer((_, model) => {
    model['merges'] = Array.from({ length: 40_000 }, () => ['a', 'b']);
  }),
  'tokenizer.json: merges in a loop': tokenizer((_, model) => {
    model['merges'] = Array.from({ length: 20_000 }, (_x, i) => (i % 2 === 0 ? 'a b' : 'ab a'));
  }),
  'tokenizer.json: a token of 900 KB': tokenizer((_, model) => {
    (model['vocab'] as Record<string, number>)[repeat('x', 900_000)] = 270;
  }),
  'tokenizer.json: 10,000 added tokens': tokenizer((json) => {
    json['added_tokens'] = Array.from({ length: 10_000 }, (_, i) => ({ id: 256 + (i % 32), content: `<|${i}|>` }));
  }),
  'tokenizer.json: nested lists': () => useAll(openTinyFolder({ 'tokenizer.json': utf8(repeat('[')) })),
  'tokenizer.json: repetition of repetitions': pattern('((((a{99}){99}){99}){99})'),
  'tokenizer.json: repetition up to 2^31': pattern('a{1,2147483647}'),
  'tokenizer.json: nested groups': pattern(`${'('.repeat(1900)}a${')'.repeat(1900)}`),
  'tokenizer.json: alternatives of classes': pattern(`(?:${Array(300).fill('\\p{L}+\\p{N}*').join('|')})+`),
  'chat template: 250 KB of nested lists': template(`{{ ${'['.repeat(120_000)}${']'.repeat(120_000)} }}`),
  'chat template: 200 KB of loops': template(
    `${'{% for a in range(9) %}'.repeat(4000)}x${'{% endfor %}'.repeat(4000)}`,
  ),
  'chat template: text that doubles': template(
    "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
  ),
  'chat template: range(1e9)': template('{{ range(1000000000)|list }}'),
  'chat template: text times a number': template("{{ 'ab' * 1000000000 }}{{ [1] * 1000000000 }}"),
};

const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
const peak = (): number => process.resourceUsage().maxRSS * 1024;
collect();
const report = { start: peak(), cases: 0, opened: 0, peak: 0, worst: '' };
for (const [name, open] of Object.entries(hungry)) {
  const before = peak();
  try {
    if (attempt(open)) report.opened++;
  } catch (cause) {
    throw new Error(`${name} was not handled`, { cause });
  }
  if (peak() > before + 1e6) report.worst = `${name} (${Math.round(peak() / 1e6)} MB)`;
  report.cases++;
  collect();
}
const mutated = Number(process.argv[2] ?? 0);
for (let first = 0; first < mutated; first += 500) {
  report.opened += fuzz(5_000_000 + first, Math.min(500, mutated - first)).opened;
  report.cases += Math.min(500, mutated - first);
}
report.peak = peak();
process.stdout.write(JSON.stringify(report));
