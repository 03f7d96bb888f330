// `score`: how likely a model finds a text, token by token. The first token has nothing before it, so no probability.

import type { ScoreCommand } from './arguments.ts';
import { type Context, sayNotices } from './context.ts';
import { openSpeaker } from './open-speaker.ts';
import { readTokens } from './read-input.ts';
import { safeJson } from './screen/controls.ts';

export async function score(command: ScoreCommand, context: Context): Promise<void> {
  const { terminal, signal } = context;
  const given = command.tokens === null ? null : readTokens(command.tokens);
  const speaker = await openSpeaker(command, context);
  try {
    const tokens = given ?? speaker.encode(command.text ?? '');
    const logprobs = await speaker.score(tokens, signal);
    sayNotices(speaker.notices, context, command.quiet);
    const perplexity = perplexityOf(logprobs);
    if (command.json) {
      terminal.out.write(`${safeJson({ tokens, logprobs, perplexity })}\n`);
      return;
    }
    tokens.forEach((token, index) => {
      const logprob = logprobs[index];
      const shown = logprob === null || logprob === undefined ? '-' : logprob.toFixed(4);
      terminal.out.write(`${shown.padStart(10)}  ${String(token).padStart(6)}  ${safeJson(speaker.decode([token]))}\n`);
    });
    terminal.out.write(
      `perplexity ${perplexity === null ? '-' : perplexity.toFixed(4)} over ${tokens.length} tokens\n`,
    );
  } finally {
    await speaker.close();
  }
}

/** exp of the mean negative log-probability; null when no token has one. */
export function perplexityOf(logprobs: readonly (number | null)[]): number | null {
  const known = logprobs.filter((each): each is number => each !== null);
  if (known.length === 0) return null;
  return Math.exp(-known.reduce((sum, each) => sum + each, 0) / known.length);
}
