// `run`: one prompt, one answer on stdout. Text as it comes, or one JSON object at the end (shape: contract in
// ARCHITECTURE.md). With --tokens the ids are continued as they are: no template, no stop unless --stop.

import { AnswerPrinter } from './answer-printer.ts';
import type { RunCommand } from './arguments.ts';
import { type Context, sayNotices } from './context.ts';
import { openSpeaker } from './open-speaker.ts';
import { readPrompt, readTokens } from './read-input.ts';
import { safeJson } from './screen/controls.ts';
import type { Reply, ToolEvent } from './speaker.ts';
import { styled } from './terminal.ts';
import { openTools } from './tools/open-tools.ts';
import { showTool } from './tools/show-tools.ts';

export async function run(command: RunCommand, context: Context): Promise<void> {
  const { terminal, signal } = context;
  const ids = command.tokens === null ? null : readTokens(command.tokens);
  const prompt = ids === null ? await readPrompt(command, context) : '';
  if (signal.aborted) return;
  const tools = ids === null ? await openTools(command, context, null) : null;
  const speaker = await openSpeaker(command, context, tools).catch(async (error: unknown) => {
    await tools?.close();
    throw error;
  });
  try {
    const showReasoning = !command.json && !command.hideReasoning && !command.quiet && terminal.err.isTerminal;
    const showsTools = !command.json && !command.quiet && (command.verbose || terminal.err.isTerminal);
    let printer = new AnswerPrinter(terminal, { showReasoning });
    let notices = speaker.notices;
    const begin = (): void => {
      sayNotices(notices, context, command.quiet);
      notices = [];
    };
    if (terminal.err.isTerminal && !command.quiet) {
      begin();
      printer.wait();
    }
    const listener = {
      reasoning: (piece: string) => {
        begin();
        printer.reasoning(piece);
      },
      text: (piece: string) => {
        begin();
        if (!command.json) printer.text(piece);
      },
      tool: (event: ToolEvent) => {
        begin();
        if (!showsTools) return;
        if (event.type === 'start') printer.end();
        showTool(event, terminal.err);
        if (event.type === 'end') printer = new AnswerPrinter(terminal, { showReasoning });
      },
    };
    let reply: Reply;
    try {
      if (ids !== null) reply = await speaker.continue(ids, command, listener, signal);
      else {
        const { reasoning, system, developer } = command;
        const conversation = {
          said: [{ role: 'user' as const, text: prompt }],
          effort: reasoning ?? null,
          system: system ?? null,
          developer: developer ?? null,
        };
        reply = await speaker.reply(conversation, command, listener, signal);
      }
    } finally {
      printer.end();
    }
    if (reply.finishReason === 'aborted') return;
    if (command.json) terminal.out.write(`${safeJson(jsonReply(reply, speaker.loadMs))}\n`);
    else sayWhatIsMissing(reply, context);
    if (command.verbose) {
      const { usage, timings } = reply;
      const rate = (usage.completionTokens - 1) / (timings.decodeMs / 1000);
      terminal.err.write(
        `gptoss: load ${speaker.loadMs.toFixed(0)} ms · prompt ${usage.promptTokens} tokens in ${timings.promptMs.toFixed(0)} ms` +
          ` · ${usage.completionTokens} tokens in ${timings.decodeMs.toFixed(0)} ms${rate > 0 && Number.isFinite(rate) ? ` (${rate.toFixed(1)} tokens/s)` : ''}\n`,
      );
    }
  } finally {
    await speaker.close();
  }
}

/** An answer that is not one: said on stderr, because stdout holds nothing or half of it. */
function sayWhatIsMissing(reply: Reply, { terminal }: Context): void {
  const say = (text: string): void => terminal.err.write(`${styled(terminal.err, `gptoss: ${text}`, 'yellow')}\n`);
  for (const call of reply.toolCalls)
    say(`the model asked for the tool ${safeJson(call.name)} with ${safeJson(call.arguments)}`);
  if (reply.isLoop) say('the answer was ended because it repeated itself');
  else if (reply.finishReason === 'length')
    say('the answer was cut off: the token limit was reached (--max-tokens, --context)');
}

function jsonRun({ name, input, output, isError, ms, files }: Reply['toolRuns'][number]): Record<string, unknown> {
  return { name, input, output, is_error: isError, ms, files: files.map(({ name: file }) => file) };
}

export function jsonReply(reply: Reply, loadMs: number): Record<string, unknown> {
  const { usage, timings } = reply;
  return {
    text: reply.text,
    reasoning: reply.reasoning,
    tool_calls: reply.toolCalls,
    ...(reply.toolRuns.length === 0 ? {} : { tool_runs: reply.toolRuns.map(jsonRun) }),
    tokens: reply.tokens,
    finish_reason: reply.finishReason,
    ...(reply.isLoop ? { is_loop: true } : {}),
    usage: {
      prompt_tokens: usage.promptTokens,
      cached_tokens: usage.cachedTokens,
      completion_tokens: usage.completionTokens,
      reasoning_tokens: usage.reasoningTokens,
    },
    timings: {
      load_ms: loadMs,
      prompt_ms: timings.promptMs,
      first_token_ms: timings.firstTokenMs,
      decode_ms: timings.decodeMs,
    },
  };
}
