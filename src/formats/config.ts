// ModelConfig: the numbers that define one gpt-oss model, whatever file they came from.
// Readers of the various spellings (config.json, original/config.json, GGUF metadata) live beside this type.

export interface ModelConfig {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number; // query heads
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly intermediate: number; // per expert
  readonly vocab: number; // rows of embedding and output
  readonly slidingWindow: number; // keys visible, current token included
  /** Per layer: true = sliding window, false = full attention. */
  readonly sliding: readonly boolean[];
  readonly ropeTheta: number;
  /** YaRN; bounds are never rounded for gpt-oss. factor 1 = no scaling. */
  readonly rope: { factor: number; originalContext: number; betaFast: number; betaSlow: number };
  readonly maxContext: number;
  readonly rmsEps: number;
  readonly swigluAlpha: number; // 1.702
  readonly swigluLimit: number; // 7
}
