// Owns: the built-in tool `python` over an interpreter, wherever that runs: the code is the message itself, the result is
// what it printed and the value of its last line. State lasts as long as the conversation. It needs no permission because
// nothing gets out of its walls but text, images and files for whoever looks. Next: host.node.ts.

import { type ToolFile, type ToolOutput, type Toolset, toolError } from '../tool.ts';

export interface PythonResult {
  /** What it wrote to standard output and error. */
  readonly text: string;
  readonly status: 'ok' | 'error' | 'interrupted' | 'exit' | 'crashed' | 'killed';
  readonly why: string;
  /** Bytes that were written beyond what is kept. */
  readonly dropped: number;
  readonly images: readonly ToolFile[];
  /** Files of the working folder that are new or changed. */
  readonly files: readonly ToolFile[];
  /** Those that are too large to hand over. */
  readonly large: readonly string[];
  /** The interpreter is not the one of the call before: its variables are gone. */
  readonly wasRestarted: boolean;
}

export interface PythonRunner {
  /** That one call may take. */
  readonly seconds: number;
  run(
    code: string,
    options: {
      readonly signal: AbortSignal;
      readonly show: (text: string) => void;
      /** Less than usual. */
      readonly seconds?: number;
    },
  ): Promise<PythonResult>;
  close(): Promise<void>;
}

const MOST_CHARACTERS = 65_536;

export function pythonTool(runner: PythonRunner): Toolset {
  return {
    name: 'python',
    tools: [
      {
        recipient: 'python',
        seconds: runner.seconds + 60, // the interpreter has its own clock; it may have to start first
        async run({ text }, { signal, show }) {
          const code = codeOf(text);
          if (code.trim() === '') return toolError('there was no code. Send the code itself as the message.');
          return outputOf(await runner.run(code, { signal, show }), runner.seconds);
        },
      },
    ],
    close: () => runner.close(),
  };
}

/** Models sometimes wrap code in a Markdown fence or in `{"code": …}`. */
export function codeOf(text: string): string {
  const fenced = /^\s*```(?:python|py)?[ \t]*\n([\s\S]*?)\n?```\s*$/.exec(text);
  if (fenced !== null) return fenced[1]!;
  if (/^\s*\{/.test(text)) {
    try {
      const value: unknown = JSON.parse(text);
      const keys = Object.keys(value as object);
      const only = keys.length === 1 ? (value as Record<string, unknown>)[keys[0]!] : undefined;
      if (typeof only === 'string' && ['code', 'input', 'script', 'source'].includes(keys[0]!)) return only;
    } catch {
      // a set or a dict, so it is code
    }
  }
  return text;
}

function outputOf(result: PythonResult, seconds: number): ToolOutput {
  const { status, dropped, images, files, large, wasRestarted, why } = result;
  const notes: string[] = [];
  let text = result.text.length > MOST_CHARACTERS ? shortened(result.text) : result.text;
  if (dropped > 0) notes.push(`${dropped} more bytes of output were dropped.`);
  if (wasRestarted) notes.push('The interpreter was new for this call: earlier variables and files are gone.');
  if (status === 'interrupted') notes.push(`Stopped: the limit is ${seconds} seconds.`);
  if (status === 'killed') notes.push('The interpreter did not stop and was ended: variables and files are gone.');
  if (status === 'crashed') notes.push(`The interpreter broke (${why.split('\n', 1)[0]!.slice(0, 200)}) and is gone.`);
  if (images.length > 0) notes.push(`${images.length} figure(s) were shown to the user.`);
  if (files.length > 0) notes.push(`Offered to the user: ${files.map(({ name }) => name).join(', ')}.`);
  if (large.length > 0) notes.push(`Too large to hand over: ${large.join(', ')}.`);
  if (text === '' && notes.length === 0) notes.push('The code ran and printed nothing. Print what you need to see.');
  text = text.replace(/\n$/, '');
  const isError = status === 'error' || status === 'crashed' || status === 'killed' || status === 'interrupted';
  return {
    text: [...(text === '' ? [] : [text]), ...notes.map((note) => `[${note}]`)].join('\n'),
    ...(isError ? { isError } : {}),
    ...(images.length > 0 ? { images } : {}),
    ...(files.length > 0 ? { files } : {}),
  };
}

function shortened(text: string): string {
  const left = text.length - MOST_CHARACTERS;
  const head = text.slice(0, MOST_CHARACTERS * 0.75);
  return `${head}\n[… ${left} characters left out …]\n${text.slice(-MOST_CHARACTERS / 4)}`;
}
