// Rotary frequencies with YaRN scaling (model-spec §1.4). For gpt-oss the bounds of the ramp are never rounded, only
// limited to the head; files that round them (or cannot say) are read the same way. Float64 maths, then float32.
// Next: model.ts.

import type { Rope } from '../backend/backend.ts';
import type { ModelConfig } from '../formats/config.ts';

export function yarnRope(config: Pick<ModelConfig, 'headDim' | 'ropeTheta' | 'rope'>): Rope {
  const { headDim, ropeTheta } = config;
  const { factor, originalContext, betaFast, betaSlow } = config.rope;
  const half = headDim / 2;
  const inverse = new Float32Array(half);
  // The dimension whose wave turns `rotations` times within the original context.
  const dimensionOf = (rotations: number): number =>
    (half * Math.log(originalContext / (rotations * 2 * Math.PI))) / Math.log(ropeTheta);
  const low = Math.max(dimensionOf(betaFast), 0);
  const high = Math.max(Math.min(dimensionOf(betaSlow), headDim - 1), low + 1e-3);
  for (let i = 0; i < half; i++) {
    const original = ropeTheta ** (-i / half);
    const ramp = Math.min(Math.max((i - low) / (high - low), 0), 1);
    // Fast waves (below low) are kept, slow ones (beyond high) stretched by the factor, a ramp between.
    inverse[i] = (original / factor) * ramp + original * (1 - ramp);
  }
  const scale = factor > 1 ? 0.1 * Math.log(factor) + 1 : 1;
  return { inverse, scale };
}
