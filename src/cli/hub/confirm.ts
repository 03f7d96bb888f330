// One question, one key. Never asks where nobody can answer: in pipes and in CI the answer is no.

import type { Context } from '../context.ts';

export async function confirm(question: string, { terminal, stdin, environment, signal }: Context): Promise<boolean> {
  if (!stdin.isTTY || !terminal.err.isTerminal || environment.ci || signal.aborted) return false;
  terminal.err.write(`${question} [y/N] `);
  stdin.setRawMode(true);
  stdin.resume();
  try {
    const key = await new Promise<string>((resolve) => {
      const done = (data: Buffer | string): void => {
        stdin.off('data', done);
        signal.removeEventListener('abort', stop);
        resolve(String(data));
      };
      const stop = (): void => done('');
      stdin.on('data', done);
      signal.addEventListener('abort', stop, { once: true });
    });
    const yes = /^[yYjJ]/.test(key);
    terminal.err.write(yes ? 'yes\n' : 'no\n');
    return yes;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
  }
}
