// Before the first answer: the model's files are brought into memory by all threads, with a bar where that takes a while
// (13 GB come from a disk). Without it the first steps wait for one small piece after the other. Not where the memory is too small
// for the files: then pages come and go as they are used, which is said.

import { fitsMemory } from '../backend/cpu/free-memory.ts';
import type { OpenedModel } from '../opened-model.ts';
import type { Context } from './context.ts';
import { progressLine } from './hub/progress.ts';
import { describeMachine } from './machine.ts';
import { bytes } from './screen/table.ts';

const WORTH_IT = 256 << 20; // bytes; less is there before anyone notices
const PATIENCE_MS = 700; // what is in memory already needs no bar

/** Ends when all is there, or at once where it would not help. `say` is told where memory is too small. */
export async function readAhead(
  model: Pick<OpenedModel, 'mappedBytes' | 'populate'>,
  context: Context,
  options: { quiet: boolean; say: (text: string) => void; availableBytes?: number },
): Promise<void> {
  const { mappedBytes } = model;
  if (mappedBytes < WORTH_IT) return;
  const { availableBytes = describeMachine().availableBytes } = options;
  if (!fitsMemory(mappedBytes, availableBytes)) {
    options.say(
      `the model has ${bytes(mappedBytes)}, free memory ${bytes(availableBytes)}: parts are read from the disk again and again, which is slow`,
    );
    return;
  }
  const line = progressLine(context, 'reading the model', options.quiet);
  const start = performance.now();
  try {
    await model.populate({
      signal: context.signal,
      progress: (done, total) => {
        if (performance.now() - start > PATIENCE_MS) line.update(done, total);
      },
    });
  } finally {
    line.stop();
  }
}
