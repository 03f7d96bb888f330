// The reference backend under the common suite: float32 storage against float64.
import { describeBackend } from '../backend.case.ts';
import { ReferenceBackend } from './reference.ts';

describeBackend('reference', (options) => new ReferenceBackend(options), {
  // All types go through formats/decode.ts, which has its own tests: one of each kind is enough here.
  dtypes: ['f32', 'bf16', 'q8_0', 'mxfp4', 'mxfp4-split', 'q6_k'],
});
