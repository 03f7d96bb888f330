// `chat`: opens the model, greets, and turns between keyboard and chat until one of them ends. The greeting says what
// answers and what it can do, in English and in Japanese, because the first thing a stranger types should work.

import type { ChatCommand } from '../arguments.ts';
import { TINY_EXAMPLES } from '../choose-model.ts';
import type { Context } from '../context.ts';
import { openSpeaker } from '../open-speaker.ts';
import type { OpenedSpeaker } from '../speaker.ts';
import { styled, type Terminal } from '../terminal.ts';
import { Chat } from './chat.ts';
import { ChatInput } from './chat-input.ts';

export async function runChat(command: ChatCommand, context: Context): Promise<void> {
  const { terminal, stdin, signal } = context;
  const speaker = await openSpeaker(command, context);
  let input: ChatInput | null = null;
  try {
    if (!command.quiet) greet(speaker, terminal);
    const chat = new Chat(speaker, terminal, {
      effort: command.reasoning ?? null,
      system: command.system ?? null,
      developer: command.developer ?? null,
      sampling: command,
      hideReasoning: command.hideReasoning,
      verbose: command.verbose,
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

function greet(speaker: OpenedSpeaker, { err }: Terminal): void {
  const lines = [`${styled(err, 'gptoss', 'bold')} · ${speaker.name} · ${speaker.description}`];
  if (speaker.isEmbedded) {
    lines.push(
      'No gpt-oss was found on this machine, so the tiny model that comes with gptoss answers. It is a real gpt-oss of 2.2',
      'million parameters, trained on sums, comparing, sorting and letters of words. It knows nothing about the world. Try:',
      ...TINY_EXAMPLES.map((example) => `  ${styled(err, example, 'cyan')}`),
    );
  }
  lines.push(
    'Type a message and press Enter; /help lists commands, Ctrl-C stops an answer, /quit leaves.',
    speaker.isEmbedded
      ? '日本語: 同梱の小さなモデルが答えます（足し算、並べ替え、単語の文字など）。入力して Enter、/help で一覧、/quit で終了。'
      : '日本語: 入力して Enter を押してください。/help でコマンド一覧、Ctrl-C で回答を中止、/quit で終了します。',
    '',
  );
  err.write(`${lines.join('\n')}\n`);
}
