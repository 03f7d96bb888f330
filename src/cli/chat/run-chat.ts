// `chat`: opens the model, greets, and turns between keyboard and chat until one of them ends. The greeting says what
// answers and what it can do, in English and in Japanese, because the first thing a stranger types should work.

import type { Ask } from '../../agent/permission.ts';
import type { ChatCommand } from '../arguments.ts';
import { chooseModel, TINY_EXAMPLES } from '../choose-model.ts';
import { type Context, sayNotices } from '../context.ts';
import { openSpeaker } from '../open-speaker.ts';
import { paint, type Style, wrap } from '../screen/style.ts';
import type { OpenedSpeaker } from '../speaker.ts';
import { styled, type Terminal } from '../terminal.ts';
import { openTools } from '../tools/open-tools.ts';
import { permissionAnswer, permissionQuestion } from '../tools/show-tools.ts';
import { Chat } from './chat.ts';
import { ChatInput } from './chat-input.ts';

export async function runChat(command: ChatCommand, context: Context): Promise<void> {
  const { terminal, stdin, signal } = context;
  const downloaded = command.quiet ? null : await offerFor(command, context);
  let input: ChatInput | null = null;
  // Only somebody at a keyboard can allow something; lines of a pipe are messages.
  const ask: Ask | null = stdin.isTTY
    ? async (request) => {
        terminal.err.write(`${styled(terminal.err, permissionQuestion(request), 'yellow')}\n`);
        return permissionAnswer((await input?.next()) ?? null);
      }
    : null;
  const tools = await openTools(command, context, ask);
  const model = downloaded === null ? command : { ...command, model: downloaded };
  const speaker = await openSpeaker(model, context, tools).catch(async (error: unknown) => {
    await tools?.close();
    throw error;
  });
  try {
    if (signal.aborted) return;
    sayNotices(speaker.notices, context, command.quiet);
    if (!command.quiet) greet(speaker, terminal);
    const chat = new Chat(speaker, terminal, {
      effort: command.reasoning ?? null,
      system: command.system ?? null,
      developer: command.developer ?? null,
      sampling: command,
      hideReasoning: command.hideReasoning,
      verbose: command.verbose,
      onReset: () => tools?.permissions.forget(),
    });
    const keyboard = new ChatInput(stdin, terminal.err, () => chat.interrupt());
    input = keyboard;
    // On a terminal Ctrl-C never ends the program by itself; in a pipe it does.
    if (stdin.isTTY) context.takeInterrupts(() => chat.interrupt() || keyboard.close());
    signal.addEventListener('abort', () => {
      chat.interrupt();
      keyboard.close();
    });
    for (;;) {
      const message = await keyboard.next();
      if (message === null || signal.aborted || !(await chat.handle(message))) break;
    }
  } finally {
    input?.close();
    await speaker.close();
  }
}

/** The real model, when only the embedded one would answer and its user says yes. */
async function offerFor({ model }: ChatCommand, context: Context): Promise<string | null> {
  if (chooseModel(model, context.stores).why !== 'embedded') return null;
  return (await import('../hub/offer.ts')).offerRealModel(context);
}

function greet(speaker: OpenedSpeaker, { err }: Terminal): void {
  const say = (text: string, ...styles: Style[]): void => {
    for (const line of wrap([{ text, styles }], err.isTerminal ? err.columns - 1 : 1000)) {
      err.write(`${paint(line, err.colour)}\n`);
    }
  };
  say(`gptoss · ${speaker.name} · ${speaker.description}`, 'bold');
  if (speaker.isEmbedded) {
    say('It is a real gpt-oss, only very small, and was trained for a few things. Try:');
    for (const example of TINY_EXAMPLES) say(`  ${example}`, 'cyan');
  }
  say('Type a message and press Enter; /help lists commands, Ctrl-C stops an answer, /quit leaves.');
  if (speaker.isEmbedded)
    say('日本語: 同梱の小さなモデルです。上の例や「こんにちは」を入力して Enter。/help で一覧、/quit で終了。');
  else say('日本語: 入力して Enter を押してください。/help で一覧、Ctrl-C で回答を中止、/quit で終了します。');
  err.write('\n');
}
