// `gptoss` in this process with its output as text. For tests only.

import { PassThrough } from 'node:stream';
import { hubSettings } from '../hub/roots.ts';
import { main } from './main.ts';

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function gptoss(home: string, argv: readonly string[], signal?: AbortSignal): Promise<Said> {
  const written = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({
    ...{ isTerminal: false, colour: false, columns: 80, rows: 24 },
    write: (text: string) => {
      written[name] += text;
    },
  });
  const code = await main(argv, {
    terminal: { out: output('out'), err: output('err') },
    stdin: new PassThrough() as unknown as NodeJS.ReadStream,
    environment: { isa: null, ci: false, noColour: false, dumb: false, path: '' },
    stores: hubSettings({}, 'linux', home),
    ...{ version: '1.2.3', signal: signal ?? new AbortController().signal, takeInterrupts: () => {} },
  });
  return { code, ...written };
}
