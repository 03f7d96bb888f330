// Encoding speed on one core, beside tiktoken's WASM: `npx tsx bench/tokenizer.bench.ts [--json]`.
// Real text from the development dependencies: English documentation, code, Japanese, punctuation and the four in turns.
// Every sample is checked for equal ids first; runs alternate, median of five after a warm-up. Also the long runs of one
// character, decoding, and what loading costs.
import { readFileSync } from 'node:fs';
import { get_encoding } from 'tiktoken';
import { o200kHarmony } from '../src/text/o200k-harmony.node.ts';
import { tokenTrie } from '../src/text/token-trie.ts';

const read = (path: string): string => readFileSync(new URL(`../node_modules/${path}`, import.meta.url), 'utf8');
const milliseconds = (work: () => unknown): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

const loadMs = milliseconds(() => o200kHarmony());
const ours = o200kHarmony();
const coldRunMs = milliseconds(() => ours.encode(' '.repeat(100_000)));
const trieMs = milliseconds(() => tokenTrie(ours.vocabulary));
const theirs = get_encoding('o200k_base');

const half = 1 << 19;
const comments = [...read('@types/node/fs.d.ts').matchAll(/^ +\* (.*)$/gm)].map((match) => match[1]).join('\n');
const japanese = Object.values(
  JSON.parse(read('typescript/lib/ja/diagnosticMessages.generated.json')) as Record<string, string>,
);
const english = comments.slice(0, half);
const code = read('typescript/lib/typescript.js').slice(4 * half, 5 * half);
const symbols = read('typescript/lib/_tsc.js')
  .replace(/\w+/g, (word) => word[0])
  .slice(0, half);
const japaneseText = japanese
  .join('\n')
  .replace(/[A-Za-z_]{3,}/g, '')
  .slice(0, half);
const slices = (text: string): string[] => text.match(/.{1,2000}/gsu) ?? [];
const parts = [english, code, japaneseText, symbols].map(slices);
const mixed = parts[1].map((_, i) => parts.map((list) => list[i % list.length]).join('\n')).join('\n');

const rows: Record<string, Record<string, number | string>> = {};
for (const [name, text] of Object.entries({ english, code, japanese: japaneseText, symbols, mixed })) {
  const megabytes = Buffer.byteLength(text) / 1e6;
  const ids = ours.encode(text);
  const expected = theirs.encode(text, [], []);
  if (ids.length !== expected.length || ids.some((id, i) => id !== expected[i])) throw new Error(`${name}: ids differ`);
  const [our, their, back]: number[][] = [[], [], []];
  for (let run = 0; run < 5; run++) {
    our.push(megabytes / (milliseconds(() => ours.encode(text)) / 1000));
    their.push(megabytes / (milliseconds(() => theirs.encode(text, [], [])) / 1000));
    back.push(megabytes / (milliseconds(() => ours.decode(ids)) / 1000));
  }
  rows[name] = {
    MB: megabytes.toFixed(2),
    'encode MB/s': median(our).toFixed(1),
    'least MB/s': our[0].toFixed(1),
    'tiktoken MB/s': median(their).toFixed(1),
    'decode MB/s': median(back).toFixed(1),
  };
}
const runs = Object.fromEntries(
  [' ', 'a', '\n', 'あ', ' \n'].map((char) => {
    const text = char.repeat(100_000);
    return [JSON.stringify(char), median([1, 2, 3].map(() => milliseconds(() => ours.encode(text)))).toFixed(1)];
  }),
);
if (process.argv.includes('--json')) {
  process.stdout.write(`${JSON.stringify({ loadMs, trieMs, coldRunMs, rows, runs })}\n`);
} else {
  process.stdout.write(`load ${loadMs.toFixed(0)} ms, token trie ${trieMs.toFixed(0)} ms, `);
  process.stdout.write(`first 100,000 spaces ${coldRunMs.toFixed(0)} ms\n`);
  console.table(rows);
  process.stdout.write(`100,000 times, ms: ${JSON.stringify(runs)}\n`);
}
