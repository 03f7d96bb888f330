// `train WHAT`: stages, the whole recipe, checking data, handing over. Parsing only; arguments.ts gathers it with the
// other commands.

import { Option, type Command as Program } from 'commander';
import type { Verbosity } from '../arguments.ts';

export const trainingTasks = ['tiny', 'pretrain', 'sft', 'dpo', 'rl', 'lint', 'export', 'report'] as const;
export type TrainingTask = (typeof trainingTasks)[number];

export interface TrainCommand extends Verbosity {
  readonly name: 'train';
  readonly what: TrainingTask;
  /** JSONL of conversations (sft, lint) or pairs (dpo), text (pretrain); for report the folder of a run. */
  readonly files: readonly string[];
  readonly model?: string;
  /** Folder of a PEFT adapter, merged into `model` before the first step. */
  readonly adapter?: string;
  readonly out: string;
  readonly size: 'tiny' | 'micro';
  readonly steps?: number;
  /** Of the whole recipe: this share of its steps. */
  readonly scale: number;
  readonly rows?: number;
  readonly learningRate?: number;
  readonly longest?: number;
  readonly families?: readonly string[];
  readonly seed?: number;
  readonly groups: number;
  readonly groupSize: number;
  readonly beta: number;
  readonly maxMinutes?: number;
  readonly evaluate: number;
  readonly to: 'trl' | 'unsloth' | 'unquantised';
  readonly backend?: 'cpu' | 'reference';
  readonly threads?: number;
  readonly dryRun: boolean;
  /** Dry run of the recipe's own data: so many samples of each family and stage; none: no look at the data. */
  readonly samples: number;
  readonly json: boolean;
}

export function addTrainCommand(
  program: Program,
  found: (command: TrainCommand) => void,
  shared: {
    readonly addVerbosity: (command: Program) => void;
    readonly positive: (value: string) => number;
    readonly whole: (least: number) => (value: string) => number;
    readonly number: (least: number, most: number) => (value: string) => number;
  },
): void {
  const { addVerbosity, positive, whole, number } = shared;
  const train = program
    .command('train')
    .description('train a gpt-oss: from nothing, on your own conversations, by preference or by reward')
    .argument('<what>', trainingTasks.join(', '))
    .argument('[files...]', 'conversations or pairs as JSONL; text for pretrain')
    .option(
      '--model <model>',
      'go on from this checkpoint (default: from nothing for pretrain and tiny, else the best found)',
    )
    .option('--adapter <folder>', 'begin with this LoRA adapter of PEFT merged into the model')
    .option('--out <folder>', 'where checkpoints, log, report and the model go', 'gptoss-train')
    .addOption(new Option('--size <name>', 'of a model from nothing').choices(['tiny', 'micro']).default('tiny'))
    .option('--steps <n>', 'updates of the stage', positive)
    .option('--scale <share>', "tiny: this share of each stage's steps, to try it out", number(0.0001, 100), 1)
    .option('--rows <n>', 'tokens of one update', positive)
    .option('--learning-rate <r>', 'at its highest', number(0, 1))
    .option('--longest <tokens>', 'longest conversation', positive)
    .option('--families <list>', 'only these task families, e.g. addition,sort-list', (value: string) =>
      value.split(',').map((name) => name.trim()),
    )
    .option('--seed <n>', 'same seed, same run', whole(0))
    .option('--groups <n>', 'rl: prompts of one step', positive, 16)
    .option('--group-size <n>', 'rl: answers to each', whole(2), 8)
    .option('--beta <b>', 'dpo: how far the model may move', number(0, 100), 0.1)
    .option('--max-minutes <n>', 'stop in time; the same command goes on later', number(0, 100_000))
    .option('--evaluate <n>', 'answers per family and level after a stage (0: none)', whole(0), 8)
    .addOption(
      new Option(
        '--to <trainer>',
        'export: for which trainer; unquantised: the end of a run with its experts as they were learned',
      )
        .choices(['trl', 'unsloth', 'unquantised'])
        .default('trl'),
    )
    .addOption(new Option('--backend <name>', 'what computes').choices(['cpu', 'reference']))
    .option('--threads <n>', 'threads to compute with (default: physical cores)', positive)
    .option('--dry-run', 'print the plan and what it takes', false)
    .option('--samples <n>', 'dry run: samples of each family and stage (0: no look at the data)', whole(0), 3)
    .option('--json', 'lint, dry run: one JSON object', false);
  addVerbosity(train);
  train.action((what: string, files: string[], options) => {
    const task = trainingTasks.find((known) => known === what);
    if (task === undefined) train.error(`error: train ${what} is not known; expected ${trainingTasks.join(', ')}`);
    if (task === undefined) return;
    const takesFiles = ['pretrain', 'sft', 'dpo', 'lint', 'export', 'report'].includes(task);
    if (!takesFiles && files.length > 0) train.error(`error: train ${task} takes no files`);
    if ((task === 'lint' || task === 'dpo') && files.length === 0)
      train.error(`error: train ${task} needs a JSONL file`);
    found({ name: 'train', what: task, files, ...options });
  });
}
