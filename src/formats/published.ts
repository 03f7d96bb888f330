// The two published models in numbers (model-spec §1.1), for everyone who compares with them or imitates them.

import type { ModelConfig } from './config.ts';

const shared = {
  hidden: 2880,
  heads: 64,
  kvHeads: 8,
  headDim: 64,
  expertsPerToken: 4,
  intermediate: 2880,
  vocab: 201_088,
  slidingWindow: 128,
  ropeTheta: 150_000,
  rope: { factor: 32, originalContext: 4096, betaFast: 32, betaSlow: 1 },
  maxContext: 131_072,
  rmsEps: 1e-5,
  swigluAlpha: 1.702,
  swigluLimit: 7,
} as const;

const alternating = (layers: number): boolean[] => Array.from({ length: layers }, (_, i) => i % 2 === 0);

export const publishedModels: Readonly<Record<'gpt-oss-20b' | 'gpt-oss-120b', ModelConfig>> = {
  'gpt-oss-20b': { ...shared, layers: 24, experts: 32, sliding: alternating(24) },
  'gpt-oss-120b': { ...shared, layers: 36, experts: 128, sliding: alternating(36) },
};
