// All answers of the trained model on the reference backend: plain TypeScript takes its time.
import { ReferenceBackend } from '../backend/reference/reference.ts';
import { describeSeedTiny } from './seed-tiny.case.ts';

describeSeedTiny('reference', (options) => new ReferenceBackend(options));
