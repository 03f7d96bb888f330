// argv -> one Command value: which command, with every option checked and typed. Pure: reads no environment, prints
// nothing, never exits. A first argument that is no command is the prompt of `run`; options may stand before the command.
// Next: main.ts (what happens with a Command), then the file named after the command.

import { CommanderError, InvalidArgumentError, Option, Command as Program } from 'commander';
import { addConformCommand, type ConformCommand } from './conform/arguments.ts';
import { addEvalCommand, type EvalCommand } from './eval/arguments.ts';
import { addHubCommands, type HubCommand } from './hub/arguments.ts';
import { addServeCommand, type ServeCommand } from './serve-arguments.ts';
import { addToolOptions, type ToolOptions } from './tools/tool-arguments.ts';
import { addTrainCommand, type TrainCommand } from './train/arguments.ts';

export interface ModelOptions {
  readonly model?: string;
  readonly backend?: 'cpu' | 'reference';
  readonly precision?: 'exact' | 'fast';
  readonly kv?: 'f32' | 'f16' | 'q8';
  readonly weights?: 'stored' | 'q8';
  readonly threads?: number;
  readonly context?: number; // tokens
  /** False: decode one token at a time. */
  readonly speculation?: boolean;
}

export type Effort = 'low' | 'medium' | 'high';

export interface AnswerOptions {
  readonly reasoning?: Effort;
  readonly system?: string;
  readonly developer?: string;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly stop: readonly string[];
  readonly maxTokens?: number;
  readonly hideReasoning: boolean;
}

export interface Verbosity {
  readonly verbose: boolean;
  readonly quiet: boolean;
}

export interface ChatCommand extends ModelOptions, AnswerOptions, ToolOptions, Verbosity {
  readonly name: 'chat';
}

export interface RunCommand extends ModelOptions, AnswerOptions, ToolOptions, Verbosity {
  readonly name: 'run';
  /** Null: read from standard input (unless `files` or `tokens` say everything). */
  readonly prompt: string | null;
  readonly files: readonly string[];
  readonly tokens: string | null;
  readonly json: boolean;
}

export interface ScoreCommand extends ModelOptions, Verbosity {
  readonly name: 'score';
  readonly tokens: string | null;
  readonly text: string | null;
  readonly json: boolean;
}

export interface InspectCommand extends Verbosity {
  readonly name: 'inspect';
  readonly path: string;
  readonly context?: number;
  readonly kv?: 'f32' | 'f16' | 'q8';
  readonly weights?: 'stored' | 'q8';
  readonly tensors: boolean;
  readonly speed: boolean;
  readonly json: boolean;
}

export interface DoctorCommand extends ModelOptions, Verbosity {
  readonly name: 'doctor';
  readonly json: boolean;
}

export interface BenchCommand extends ModelOptions, Verbosity {
  readonly name: 'bench';
  readonly lengths: readonly number[] | null;
  readonly decode: number;
  readonly repeat: number;
  readonly ops: boolean;
  /** Measure another program beside this one. */
  readonly vs?: string;
  readonly long: boolean;
  readonly llamaBench?: string;
  /** Internal: a list of measurements, see bench/plan.ts. */
  readonly plan?: string;
  readonly json: boolean;
}

export interface McpCommand extends ModelOptions, AnswerOptions, ToolOptions, Verbosity {
  readonly name: 'mcp';
}

export type Command =
  | ChatCommand
  | RunCommand
  | ScoreCommand
  | InspectCommand
  | DoctorCommand
  | BenchCommand
  | ServeCommand
  | ConformCommand
  | McpCommand
  | TrainCommand
  | EvalCommand
  | HubCommand;

export type Parsed =
  | { readonly kind: 'command'; readonly command: Command }
  | { readonly kind: 'text'; readonly text: string } // help or version, for stdout
  | { readonly kind: 'usage'; readonly message: string }; // exit 2

const EXAMPLES = `
Examples:
  gptoss                                        chat in this terminal
  gptoss "What is 412 + 509?"                   one answer on stdout
  gptoss run --file notes.txt "Summarise this"  a file after the prompt
  gptoss chat --model ./gpt-oss-20b --reasoning high
  gptoss inspect ./gpt-oss-20b --context 32768

A first argument that is no command is the prompt of \`run\`. Answers go to stdout, everything else to stderr.`;

export function parseArguments(argv: readonly string[], defaults: { version: string; interactive: boolean }): Parsed {
  let command: Command | null = null;
  let text = '';
  let complaint = '';
  const program = describeProgram(defaults.version, (parsed) => {
    command = parsed;
  });
  for (const each of [program, ...program.commands]) {
    each.exitOverride().configureOutput({
      writeOut: (part) => {
        text += part;
      },
      writeErr: (part) => {
        complaint += part;
      },
    });
  }
  try {
    program.parse(withCommandFirst(argv, program, defaults.interactive), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'text', text };
    return { kind: 'usage', message: oneLine(complaint || error.message) };
  }
  if (command === null) return { kind: 'usage', message: 'no command; see `gptoss --help`' };
  return { kind: 'command', command };
}

/** Puts the command first, or the one that is meant: the first argument that is no option decides. */
function withCommandFirst(argv: readonly string[], program: Program, interactive: boolean): string[] {
  const takesValue = new Set<string>();
  for (const option of program.commands.flatMap((each) => each.options)) {
    if (option.required && option.long) takesValue.add(option.long);
  }
  const options: string[] = [];
  const words: string[] = [];
  let literal: string[] = []; // what stands after `--`
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!;
    if (argument === '--') {
      literal = argv.slice(i + 1);
      break;
    }
    if (!/^-\D/.test(argument))
      words.push(argument); // "-5 + 3" is a question
    else if (takesValue.has(argument) && i + 1 < argv.length) options.push(argument, argv[++i]!);
    else options.push(argument);
  }
  const isCommand = words[0] === 'help' || program.commands.some((each) => each.name() === words[0]);
  if (!isCommand && words.length + literal.length === 0) return withDefault(options, interactive);
  const name = isCommand ? words.shift()! : 'run';
  return [name, ...options, ...(words.length + literal.length > 0 ? ['--', ...words, ...literal] : [])];
}

function withDefault(argv: readonly string[], interactive: boolean): string[] {
  if (argv.some((argument) => /^(-h|--help|-V|--version)$/.test(argument))) return [...argv];
  // Options that only `run` has say that a single answer is meant, even on a terminal.
  const single = argv.some((argument) => /^--(json|file|tokens|raw)(=|$)/.test(argument));
  return [interactive && !single ? 'chat' : 'run', ...argv];
}

function oneLine(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim()
    .replace(/\.$/, '');
}

function describeProgram(version: string, found: (command: Command) => void): Program {
  const program = new Program('gptoss')
    .description("OpenAI's gpt-oss models on your own machine.")
    .usage('[command] [options]')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', EXAMPLES)
    .configureHelp({ optionDescription: describeOption });

  const chat = program.command('chat').description('talk with a model in this terminal (type /help there)');
  addModelOptions(chat);
  addAnswerOptions(chat);
  addToolOptions(chat);
  addVerbosity(chat);
  chat.action((options) => found({ name: 'chat', ...options }));

  const run = program.command('run').description('answer one prompt and exit; the answer goes to stdout');
  run.argument('[prompt...]', 'the question; from standard input when absent');
  addModelOptions(run);
  addAnswerOptions(run);
  addToolOptions(run);
  run
    .option('--file <path>', 'append this file to the prompt (repeatable; - is standard input)', collect, [])
    .option('--tokens <file>', 'continue the token ids in this JSON array (needs --raw)')
    .option('--raw', 'continue the ids as they are: no template, no stop unless --stop', false)
    .option('--json', 'print one JSON object instead of text', false);
  addVerbosity(run);
  run.action((words: string[], options) => {
    const { file, raw, ...rest } = options;
    if (raw !== (options.tokens !== undefined)) run.error('error: --tokens FILE and --raw belong together');
    if (raw && (words.length > 0 || file.length > 0)) run.error('error: --tokens takes no prompt and no --file');
    const prompt = words.length > 0 ? words.join(' ') : null;
    found({ name: 'run', ...rest, prompt, files: file, tokens: options.tokens ?? null });
  });

  const mcp = program.command('mcp').description('offer the model to other programs (Model Context Protocol on stdin)');
  addModelOptions(mcp);
  addAnswerOptions(mcp);
  addToolOptions(mcp);
  addVerbosity(mcp);
  mcp.action((options) => found({ name: 'mcp', ...options }));

  const score = program.command('score').description('log-probability of each token of a text');
  score
    .option('--text <text>', 'the text to score, as it is')
    .option('--tokens <file>', 'score the token ids in this JSON array')
    .option('--json', 'print one JSON object: tokens, logprobs, perplexity', false);
  addModelOptions(score);
  addVerbosity(score);
  score.action((options) => {
    if ((options.tokens === undefined) === (options.text === undefined)) {
      score.error('error: give either --text TEXT or --tokens FILE');
    }
    found({ name: 'score', ...options, tokens: options.tokens ?? null, text: options.text ?? null });
  });

  const inspect = program
    .command('inspect')
    .description('what a checkpoint is: config, types, sizes, memory needed, speed expected here');
  inspect
    .argument('[path]', 'file or folder (default: the model that would run)')
    .option('--model <path>', 'the same as PATH')
    .option('--context <tokens>', 'state the memory needed at this context', positive)
    .addOption(new Option('--kv <type>', 'type of the key-value cache for that').choices(['f32', 'f16', 'q8']))
    .addOption(new Option('--weights <kind>', 'and this kind of weights').choices(['stored', 'q8']))
    .option('--tensors', 'list every tensor', false)
    .option('--no-speed', 'do not measure this machine for a forecast of speed (about a second)')
    .option('--json', 'print one JSON object', false);
  addVerbosity(inspect);
  inspect.action((path: string | undefined, options) => {
    const { model, ...rest } = options;
    found({ name: 'inspect', ...rest, path: path ?? model ?? '' });
  });

  const doctor = program.command('doctor').description('what this machine can do, and what would run here and why');
  doctor.option('--json', 'print one JSON object', false);
  addModelOptions(doctor);
  addVerbosity(doctor);
  doctor.action((options) => found({ name: 'doctor', ...options }));

  const bench = program.command('bench').description('measure load time, prompt and decode speed, memory, single ops');
  bench
    .option('--lengths <list>', 'prompt lengths in tokens, e.g. 16,512,2048 (default: by size of model)', lengths)
    .option('--decode <tokens>', 'tokens to decode after each prompt', positive, 32)
    .option('--repeat <n>', 'measured runs after one warm-up; medians are printed', positive, 3)
    .option('--no-ops', 'leave out the single ops')
    .option('--vs <peer>', 'side by side with llama.cpp on the same GGUF, in turn (default model: a 20b stand-in)')
    .option('--long', 'with --vs: 8k and 32k tokens instead, one run each', false)
    .option('--llama-bench <path>', 'with --vs: an own build of llama.cpp')
    .addOption(new Option('--plan <json>').hideHelp())
    .option('--json', 'print one JSON object: machine, rows', false);
  addModelOptions(bench);
  addVerbosity(bench);
  bench.action((options) => found({ name: 'bench', ...options, lengths: options.lengths ?? null }));

  const parts = { addModelOptions, addVerbosity, collect, whole, number };
  addServeCommand(program, found, parts);
  addConformCommand(program, found, parts);
  addHubCommands(program, found, { addVerbosity, positive });
  addTrainCommand(program, found, { addVerbosity, positive, whole, number });
  addEvalCommand(program, found, parts);
  program.helpCommand('help [command]', 'show help for a command');
  return program;
}

function describeOption(option: Option): string {
  const notes = option.argChoices ? [option.argChoices.join(', ')] : [];
  const { defaultValue } = option;
  if (typeof defaultValue === 'string' || typeof defaultValue === 'number') notes.push(`default: ${defaultValue}`);
  return notes.length > 0 ? `${option.description} (${notes.join('; ')})` : option.description;
}

function addModelOptions(command: Program): void {
  command
    .option('--model <model>', 'file or folder, or name of a model on this machine; default: the best found')
    .addOption(
      new Option('--backend <name>', 'what computes; default: cpu where it is built').choices(['cpu', 'reference']),
    )
    .addOption(
      new Option('--precision <kind>', 'fast (default): 8/16-bit activations; exact: float32, reproducible').choices([
        'exact',
        'fast',
      ]),
    )
    .addOption(new Option('--kv <type>', 'key-value cache; default: f16, with exact f32').choices(['f32', 'f16', 'q8']))
    .addOption(
      new Option(
        '--weights <kind>',
        'q8: attention and output stored as BF16 are rounded to 8 bits in memory, for speed (default: stored)',
      ).choices(['stored', 'q8']),
    )
    .option(
      '--threads <n>',
      'threads to compute with (default: physical cores; 1 for a model of at most 2 MiB)',
      positive,
    )
    .option('--context <tokens>', 'longest conversation (default: 8192, or what the model allows)', positive)
    .option('--no-speculation', 'never run guessed tokens along (guesses are used where they are measured to pay)');
}

function addAnswerOptions(command: Program): void {
  command
    .addOption(new Option('--reasoning <effort>', 'how long to think').choices(['low', 'medium', 'high']))
    .option('--system <text>', 'identity in the system message')
    .option('--developer <text>', 'instructions for the model')
    .option('--temperature <t>', '0 always takes the likeliest token', number(0, 100))
    .option('--top-p <p>', 'sample from the likeliest tokens of this total probability', number(0, 1))
    .option('--top-k <n>', 'sample from the n likeliest tokens (0: all)', whole(0))
    .option('--min-p <p>', 'drop tokens below this share of the likeliest', number(0, 1))
    .option('--seed <n>', 'same seed, same answer', whole(0))
    .option('--stop <text>', 'end the answer before this text (repeatable)', collect, [])
    .option('--max-tokens <n>', 'generate at most this many tokens', positive)
    .option('--hide-reasoning', 'show only the answer', false);
}

function addVerbosity(command: Program): void {
  command
    .option('--verbose', 'more detail; with errors, their causes', false)
    .option('--quiet', 'no notices on stderr', false)
    .helpOption('-h, --help', 'show this help');
}

function collect(value: string, before: string[]): string[] {
  if (value === '') throw new InvalidArgumentError('it is empty.');
  return [...before, value];
}

function number(least: number, most: number): (value: string) => number {
  return (value) => {
    const parsed = value.trim() === '' ? Number.NaN : Number(value);
    if (!(parsed >= least && parsed <= most)) throw new InvalidArgumentError(`expected ${least} to ${most}.`);
    return parsed;
  };
}

function whole(least: number): (value: string) => number {
  return (value) => {
    if (!/^\d{1,15}$/.test(value) || Number(value) < least) {
      throw new InvalidArgumentError(`expected a whole number, at least ${least}.`);
    }
    return Number(value);
  };
}

const positive = whole(1);

function lengths(value: string): number[] {
  return value.split(',').map((part) => positive(part.trim()));
}
