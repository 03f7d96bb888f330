// What an environment says to a call, as the tokens that follow it. The author is the tool that was called, in words that
// a header can hold: what a model wrote there is model output, so it may be empty, or a role's name, or anything.
// Used by rollouts.ts and ../run/evaluate.ts.

import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { standardChannels } from '../../text/harmony/messages.ts';
import { renderMessage } from '../../text/harmony/render.ts';
import type { Turn } from '../../text/harmony/turn.ts';
import { promptIds } from '../data/examples.ts';
import type { Environment } from './environment.ts';

/** Null when the turn did not end with a call, or `calls` are all that the environment answers. The ids end with
 *  `<|start|>assistant`: the model goes on from there. */
export function toolAnswer(
  encoding: HarmonyEncoding,
  environment: Environment,
  turn: Turn,
  calls: number,
): number[] | null {
  const call = turn.calls.at(-1);
  if (turn.finish !== 'call' || call === undefined || calls >= environment.maxCalls) return null;
  const { recipient, message } = call;
  const { channel, content } = message;
  const answer = environment.call({ name: recipient, arguments: parsed(content), text: content });
  const { functions, builtins } = environment.tools;
  const isDeclared = builtins.includes(recipient) || functions.some((name) => `functions.${name}` === recipient);
  const result = renderMessage(encoding, {
    role: 'tool',
    name: isDeclared ? recipient : `functions.${call.name.replace(/[^\w$]/g, '').slice(0, 64) || 'unknown'}`,
    recipient: 'assistant',
    channel:
      channel !== undefined && standardChannels.includes(channel) && channel !== 'final' ? channel : 'commentary',
    content: answer,
  });
  return [...result, ...promptIds(encoding, [])];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
