// `mcp`: the model offered to other programs over the Model Context Protocol, on stdin and stdout. Nothing but the
// protocol goes to stdout; what people should know goes to stderr. Ends when the program on the other side does.
// Next: agent/mcp/serve.node.ts.

import { serveMcp } from '../agent/mcp/serve.node.ts';
import { Permissions } from '../agent/permission.ts';
import type { McpCommand } from './arguments.ts';
import { type Context, sayNotices } from './context.ts';
import { openSpeaker } from './open-speaker.ts';

export async function mcp(command: McpCommand, context: Context): Promise<void> {
  const speaker = await openSpeaker(command, context);
  sayNotices(speaker.notices, context, command.quiet);
  try {
    await serveMcp({
      version: context.version,
      model: speaker.name,
      tools: [],
      permissions: new Permissions(),
      input: context.stdin,
      output: process.stdout,
      signal: context.signal,
      async ask({ prompt, system, reasoning, maxTokens }, signal, tell) {
        const conversation = {
          said: [{ role: 'user' as const, text: prompt }],
          effort: reasoning ?? command.reasoning ?? null,
          system: command.system ?? null,
          developer: system ?? command.developer ?? null,
        };
        const sampling = { ...command, maxTokens: maxTokens ?? command.maxTokens };
        const reply = await speaker.reply(conversation, sampling, { reasoning: () => undefined, text: tell }, signal);
        const isCut = reply.finishReason === 'length';
        return isCut ? `${reply.text}\n[The answer was cut off: the limit of tokens was reached.]` : reply.text;
      },
    });
  } finally {
    await speaker.close();
  }
}
