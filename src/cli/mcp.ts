// `mcp`: the model offered to other programs over the Model Context Protocol, on stdin and stdout. Nothing but the
// protocol goes to stdout; what people should know goes to stderr. Ends when the program on the other side does.
// Next: agent/mcp/serve.node.ts.

import { type AskRequest, serveMcp } from '../agent/mcp/serve.node.ts';
import { Permissions } from '../agent/permission.ts';
import { Toolbox } from '../agent/tool.ts';
import type { McpCommand } from './arguments.ts';
import { type Context, sayNotices } from './context.ts';
import { openSpeaker } from './open-speaker.ts';
import { openTools } from './tools/open-tools.ts';

export async function mcp(command: McpCommand, context: Context): Promise<void> {
  // Nobody can be asked here: what no --allow names is denied.
  const tools = await openTools(command, context, null);
  const speaker = await openSpeaker(command, context, tools).catch(async (error: unknown) => {
    await tools?.close();
    throw error;
  });
  sayNotices(speaker.notices, context, command.quiet);
  const own = tools?.open(undefined, (text) => speaker.encode(text).length) ?? [];
  const answer = async (asked: AskRequest, signal: AbortSignal, tell: (text: string) => void): Promise<string> => {
    signal.throwIfAborted();
    const { prompt, system, reasoning, maxTokens } = asked;
    const conversation = {
      said: [{ role: 'user' as const, text: prompt }],
      effort: reasoning ?? command.reasoning ?? null,
      system: command.system ?? null,
      developer: system ?? command.developer ?? null,
    };
    const sampling = { ...command, maxTokens: maxTokens ?? command.maxTokens };
    const reply = await speaker.reply(conversation, sampling, { reasoning: () => undefined, text: tell }, signal);
    await speaker.forget?.(); // each question is a conversation of its own
    if (reply.finishReason !== 'length') return reply.text;
    const why = reply.isLoop ? 'it repeated itself' : 'the limit of tokens was reached';
    return `${reply.text}\n[The answer was cut off: ${why}.]`;
  };
  let last: Promise<unknown> = Promise.resolve(); // one question after the other
  try {
    await serveMcp({
      version: context.version,
      model: speaker.name,
      tools: new Toolbox(own).tools,
      permissions: tools?.permissions ?? new Permissions(),
      ...(tools === null ? {} : { audit: tools.audit }),
      input: context.stdin,
      output: process.stdout,
      signal: context.signal,
      ask: (asked, signal, tell) => {
        const turn = last.then(() => answer(asked, signal, tell));
        last = turn.catch(() => undefined);
        return turn;
      },
    });
  } finally {
    await Promise.all(own.map((set) => set.close?.()));
    await speaker.close();
  }
}
