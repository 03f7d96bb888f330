// Which known file a checkpoint resembles, and where it departs from the published ones: "gpt-oss-20b; like Q4_K_M;
// output is Q8_0". By content, that is by configuration and the types of its matrices, never by its name.

import type { Checkpoint } from './checkpoint.ts';
import type { ModelConfig } from './config.ts';
import { dtypeFacts } from './dtypes.ts';
import { publishedModels } from './published.ts';
import type { DType, Matrix } from './tensor.ts';

export interface Resemblance {
  /** The published model with this configuration, or null. */
  readonly model: keyof typeof publishedModels | null;
  /** What the types look like, in the words of those who publish such files. */
  readonly layout: string;
  /** Where it departs from the usual file of that layout and model; each a short sentence. */
  readonly differences: readonly string[];
}

type Part = 'embedding' | 'output' | 'attention' | 'attention value' | 'attention output' | 'router' | 'experts';

/** Element types by part of the model, most frequent first. */
function partTypes(c: Checkpoint): Record<Part, DType[]> {
  const { embedding, output, layers } = c.tensors;
  const types = (matrices: readonly Matrix[]): DType[] => {
    const count = new Map<DType, number>();
    for (const { dtype } of matrices) count.set(dtype, (count.get(dtype) ?? 0) + 1);
    return [...count].sort((a, b) => b[1] - a[1]).map(([dtype]) => dtype);
  };
  return {
    embedding: [embedding.dtype],
    output: [output.dtype],
    attention: types(layers.flatMap((l) => [l.q, l.k])),
    'attention value': types(layers.map((l) => l.v)),
    'attention output': types(layers.map((l) => l.o)),
    router: types(layers.map((l) => l.router)),
    experts: types(layers.flatMap((l) => [l.gate, l.up, l.down])),
  };
}

const label = (types: readonly DType[]): string => types.map((t) => dtypeFacts[t].label).join('/');

export function resemblance(c: Checkpoint): Resemblance {
  const types = partTypes(c);
  const model =
    (['gpt-oss-20b', 'gpt-oss-120b'] as const).find((name) => sameModel(c.config, publishedModels[name])) ?? null;
  const differences: string[] = [];
  if (model === null) differences.push(...nearestModel(c.config));
  const layout = c.format === 'gguf' ? ggufLayout(c, types, differences) : safetensorsLayout(c, types, differences);
  if (c.tensors.output.name === c.tensors.embedding.name)
    differences.push('output and embedding are one tensor; the published models have two');
  return { model, layout, differences };
}

const numericKeys = [
  'layers',
  'hidden',
  'heads',
  'kvHeads',
  'headDim',
  'experts',
  'expertsPerToken',
  'intermediate',
  'vocab',
  'slidingWindow',
  'ropeTheta',
  'maxContext',
  'rmsEps',
  'swigluLimit',
] as const;

function departures(a: ModelConfig, b: ModelConfig): string[] {
  const list: string[] = numericKeys
    .filter((key) => a[key] !== b[key])
    .map((key) => `${key} is ${a[key]}, not ${b[key]}`);
  if (a.rope.factor !== b.rope.factor || a.rope.originalContext !== b.rope.originalContext)
    list.push(
      `rope scaling is ${a.rope.factor} × ${a.rope.originalContext}, not ${b.rope.factor} × ${b.rope.originalContext}`,
    );
  if (a.layers === b.layers && a.sliding.some((s, i) => s !== b.sliding[i])) list.push('other layers slide');
  return list;
}

const sameModel = (a: ModelConfig, b: ModelConfig): boolean => departures(a, b).length === 0;

/** Departures from the closer of the two, when it is close. */
function nearestModel(c: ModelConfig): string[] {
  const [name, list] = (['gpt-oss-20b', 'gpt-oss-120b'] as const)
    .map((n) => [n, departures(c, publishedModels[n])] as const)
    .sort((a, b) => a[1].length - b[1].length)[0];
  return list.length <= 4
    ? list.map((text) => `${text} as in ${name}`)
    : [`its configuration is none of the published ones`];
}

function safetensorsLayout(c: Checkpoint, types: Record<Part, DType[]>, differences: string[]): string {
  const packed = types.experts[0] === 'mxfp4-split';
  const dense = [
    ...new Set([
      ...types.embedding,
      ...types.output,
      ...types.attention,
      ...types['attention output'],
      ...types.router,
    ]),
  ];
  if (dense.length !== 1 || dense[0] !== 'bf16')
    differences.push(`matrices other than experts are ${label(dense)}; published: BF16`);
  if (c.format === 'safetensors-original') return "OpenAI's original layout (MXFP4 experts, fused qkv)";
  return packed
    ? 'Hugging Face layout (MXFP4 experts)'
    : `Hugging Face layout, dequantised (${label(types.experts)} experts)`;
}

/** The types that a mixture named after a K-quant gives the parts whose rows are no multiple of 256. */
const fallbacks: Partial<Record<DType, { name: string; embedding: DType }>> = {
  q2_k: { name: 'Q2_K', embedding: 'q4_0' },
  q3_k: { name: 'Q3_K', embedding: 'q4_0' },
  q4_k: { name: 'Q4_K', embedding: 'q5_0' },
  q5_k: { name: 'Q5_K', embedding: 'q5_1' },
  q6_k: { name: 'Q6_K', embedding: 'q8_0' },
};

function ggufLayout(c: Checkpoint, types: Record<Part, DType[]>, differences: string[]): string {
  const experts = types.experts[0];
  if (types.experts.length > 1) differences.push(`experts have several types: ${label(types.experts)}`);
  if (experts !== 'mxfp4' && experts !== 'mxfp4-pairs')
    differences.push(`experts are ${label(types.experts)}; published: MXFP4`);
  const by = c.metadata['general.quantized_by'];
  const maker = typeof by === 'string' ? `${by.slice(0, 40)} ` : '';
  if (c.metadata['general.architecture'] === 'gptoss') {
    const fused = c.tensors.layers[0].gate.name === c.tensors.layers[0].up.name;
    return `Ollama layout (${experts === 'mxfp4-pairs' ? 'type 4 MXFP4' : label(types.experts)}, ${fused ? 'fused' : 'separate'} gate and up)`;
  }
  const known = fallbacks[types['attention output'][0]];
  if (known !== undefined) {
    const size = types['attention value'].includes('q8_0') && known.name !== 'Q6_K' ? '_M' : '';
    if (types.embedding[0] !== known.embedding)
      differences.push(`embedding is ${label(types.embedding)}; usual in ${known.name}: ${label([known.embedding])}`);
    if (types.output[0] !== 'q8_0') differences.push(`output is ${label(types.output)}; usual in ${known.name}: Q8_0`);
    return `${maker}${known.name}${size} mixture`;
  }
  const dense = types.attention[0];
  for (const part of ['embedding', 'output', 'attention value', 'attention output'] as const) {
    if (types[part].length !== 1 || types[part][0] !== dense)
      differences.push(`${part} is ${label(types[part])}, attention is ${label([dense])}`);
  }
  if (dense === 'q8_0') return `${maker}ggml-org layout (${label(types.experts)} experts, Q8_0 attention)`;
  return `${maker}${label([dense])} mixture`;
}
