// argv -> exit code: parses, runs the command, turns every failure into one line on stderr.
// 0 done · 1 failed · 2 wrong usage · 130 interrupted. Command files are loaded when they are needed, so that
// `gptoss --version` costs nothing. Next: the file named after the command.

import { isGptOssError } from '../errors.ts';
import { type Command, parseArguments } from './arguments.ts';
import { type Context, UsageError } from './context.ts';
import { describeError } from './describe-error.ts';

export async function main(argv: readonly string[], context: Context): Promise<number> {
  const { terminal, stdin, version } = context;
  const interactive = stdin.isTTY === true && terminal.out.isTerminal;
  const parsed = parseArguments(argv, { version, interactive });
  if (parsed.kind === 'text') {
    terminal.out.write(parsed.text);
    return 0;
  }
  if (parsed.kind === 'usage') return wrongUsage(parsed.message, context);
  const { command } = parsed;
  try {
    await runCommand(command, context);
    return context.signal.aborted ? 130 : 0;
  } catch (error) {
    if (context.signal.aborted) return 130;
    if (error instanceof UsageError) return wrongUsage(error.message, context);
    if (isGptOssError(error, 'aborted')) return 130;
    terminal.err.write(`${describeError(error, command.verbose)}\n`);
    return 1;
  }
}

function wrongUsage(message: string, context: Context): number {
  context.terminal.err.write(`gptoss: usage: ${message}; see \`gptoss --help\`\n`);
  return 2;
}

async function runCommand(command: Command, context: Context): Promise<void> {
  switch (command.name) {
    case 'chat':
      return (await import('./chat/run-chat.ts')).runChat(command, context);
    case 'run':
      return (await import('./run.ts')).run(command, context);
    case 'mcp':
      return (await import('./mcp.ts')).mcp(command, context);
    case 'score':
      return (await import('./score.ts')).score(command, context);
    case 'inspect':
      return (await import('./inspect.ts')).inspect(command, context);
    case 'doctor':
      return (await import('./doctor.ts')).doctor(command, context);
    case 'bench':
      return (await import('./bench.ts')).bench(command, context);
    case 'serve':
      return (await import('./serve.ts')).serve(command, context);
    case 'conform':
      return (await import('./conform/conform.ts')).conform(command, context);
    case 'models':
      return (await import('./hub/models.ts')).models(command, context);
    case 'verify':
      return (await import('./hub/models.ts')).verify(command, context);
    case 'rm':
      return (await import('./hub/models.ts')).remove(command, context);
    case 'fit':
      return (await import('./hub/fit.ts')).fit(command, context);
    case 'pull':
      return (await import('./hub/pull.ts')).pull(command, context);
    case 'train':
      return (await import('./train/train.ts')).train(command, context);
    case 'eval':
      return (await import('./eval/eval.ts')).evaluate(command, context);
    case 'convert':
      return (await import('./hub/pull.ts')).convert(command, context);
  }
}
