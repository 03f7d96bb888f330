// The reference backend under the common suite: float32 storage against float64.
import { describeBackend } from '../backend.case.ts';
import { ReferenceBackend } from './reference.ts';

describeBackend('reference', (options) => new ReferenceBackend(options));
