// Writes a full-size stand-in for a published checkpoint: real names, shapes, types, total size and vocabulary, random
// weights of healthy scale. For load, memory and speed work; its answers are noise. Takes about as long as the disk.
//   npm run synth -- gpt-oss-20b --format gguf --out /big/disk/standin.gguf
//   npm run synth -- gpt-oss-120b --format hf --out /big/disk/standin [--layers N] [--seed N]
// Next: synth/tensors.ts (what), synth/weights.ts (values), synth/vocabulary.ts.

import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ByteSink } from '../src/formats/bytes.ts';
import type { ModelConfig } from '../src/formats/config.ts';
import { createFile } from '../src/formats/file.node.ts';
import { publishedModels } from '../src/formats/published.ts';
import { ggufFields, writeGgufStandIn } from './synth/gguf.ts';
import { writeHuggingFaceStandIn } from './synth/huggingface.ts';
import { o200kHarmony } from './synth/vocabulary.ts';
import { WeightSource } from './synth/weights.ts';

const TEMPLATE = `{#- stand-in with random weights: plain chat, no tools -#}
{{- '<|start|>system<|message|>This is a stand-in with random weights.\\n\\nReasoning: ' + (reasoning_effort | default('medium')) + '\\n\\n# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>' -}}
{%- for m in messages -%}
{%- if m.role == 'assistant' -%}{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' -}}
{%- else -%}{{- '<|start|>' + ('user' if m.role == 'user' else 'developer') + '<|message|>' + m.content + '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}
`;

function usage(problem: string): never {
  process.stderr.write(
    `${problem}\nusage: npm run synth -- gpt-oss-20b|gpt-oss-120b --format gguf|hf --out PATH [--layers N] [--seed N]\n`,
  );
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        format: { type: 'string', default: 'gguf' },
        out: { type: 'string' },
        layers: { type: 'string' },
        seed: { type: 'string', default: '1' },
      },
    });
  } catch (error) {
    usage((error as Error).message);
  }
}

/** Reports progress on stderr while bytes go by. */
function counted(sink: ByteSink, count: (bytes: number) => void): ByteSink {
  return {
    write(bytes) {
      sink.write(bytes);
      count(bytes.length);
    },
    finish: () => sink.finish(),
    discard: () => sink.discard(),
  };
}

const { values, positionals } = options();
const name = positionals[0];
if (positionals.length !== 1 || (name !== 'gpt-oss-20b' && name !== 'gpt-oss-120b')) usage('which model?');
if (values.format !== 'gguf' && values.format !== 'hf') usage(`unknown format ${values.format}`);
if (values.out === undefined) usage('where to? --out is missing');
const published = publishedModels[name];
const layers = values.layers === undefined ? published.layers : Number(values.layers);
const seed = Number(values.seed);
if (!Number.isInteger(layers) || layers < 1 || layers > 1024)
  usage(`--layers ${values.layers} is not a number of layers`);
if (!Number.isInteger(seed)) usage(`--seed ${values.seed} is not a whole number`);
const config: ModelConfig = { ...published, layers, sliding: Array.from({ length: layers }, (_, i) => i % 2 === 0) };
const out = resolve(values.out);

const started = performance.now();
let written = 0;
let shown = 0;
const progress = (bytes: number): void => {
  written += bytes;
  if (written - shown < 1e9) return;
  shown = written;
  const seconds = (performance.now() - started) / 1000;
  process.stderr.write(`${(written / 1e9).toFixed(1)} GB, ${(written / 1e6 / seconds).toFixed(0)} MB/s\n`);
};

const vocabulary = o200kHarmony();
const weights = new WeightSource(seed);
const title = `${name} stand-in (random weights${layers === published.layers ? '' : `, ${layers} layers`})`;
if (values.format === 'gguf') {
  const isFolder = statSync(out, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const sink = counted(createFile(isFolder ? join(out, `${name}.gguf`) : out), progress);
  try {
    writeGgufStandIn(sink, config, ggufFields(title, config, vocabulary, TEMPLATE), weights);
  } catch (cause) {
    sink.discard();
    throw cause;
  }
  sink.finish();
} else {
  writeHuggingFaceStandIn(
    (file) => counted(createFile(join(out, file)), progress),
    config,
    vocabulary,
    TEMPLATE,
    weights,
  );
}
const seconds = (performance.now() - started) / 1000;
process.stderr.write(`wrote ${(written / 1e9).toFixed(2)} GB to ${out} in ${seconds.toFixed(0)} s\n`);
