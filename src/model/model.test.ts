// The model suites on the reference backend.
import { ReferenceBackend } from '../backend/reference/reference.ts';
import { describeModel } from './model.case.ts';
import { describeSeedTiny } from './seed-tiny.case.ts';

describeModel('reference', (options) => new ReferenceBackend(options));
// All 71 run in model.slow.test.ts.
describeSeedTiny('reference', (options) => new ReferenceBackend(options), { every: 6 });
