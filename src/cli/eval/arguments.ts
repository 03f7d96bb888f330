// `eval SUITE`, `eval list | report | compare`. Parsing only; arguments.ts gathers it with the other commands.

import { InvalidArgumentError, Option, type Command as Program } from 'commander';
import { suites } from '../../evals/suites.ts';
import type { Effort, ModelOptions, Verbosity } from '../arguments.ts';
import type { CommandParts } from '../command-parts.ts';
import { addToolOptions, type ToolOptions } from '../tools/tool-arguments.ts';

const efforts = ['low', 'medium', 'high'] as const;

export interface EvalCommand extends Omit<ModelOptions, 'context'>, ToolOptions, Verbosity {
  readonly name: 'eval';
  /** A suite, or list, report, compare. */
  readonly what: string;
  /** Folders of runs, for report and compare. */
  readonly folders: readonly string[];
  readonly context?: number;
  /** Empty: what is usual for the suite. */
  readonly reasoning: readonly Effort[];
  readonly data?: string;
  readonly items?: number;
  readonly repeats?: number;
  readonly only: readonly string[];
  readonly seed: number;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly concurrency?: number;
  /** tiny: questions of each family in the smaller sets. */
  readonly others?: number;
  readonly baseline?: string;
  readonly unquantised?: string;
  readonly card?: string;
  readonly sampled: number;
  readonly trainingDraws: number;
  readonly out?: string;
  readonly url?: string;
  readonly api: 'chat' | 'responses';
  readonly apiKey?: string;
  readonly requestModel?: string;
  readonly timeout: number; // seconds, for each request
  readonly judgeUrl?: string;
  readonly judgeModel?: string;
  readonly judgeApiKey?: string;
  readonly judgeApi: 'chat' | 'responses';
  readonly against?: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export function addEvalCommand(program: Program, found: (command: EvalCommand) => void, parts: CommandParts): void {
  const { collect, whole, number } = parts;
  const positive = whole(1);
  const names = suites.map(({ name }) => name);
  const evaluate = program
    .command('eval')
    .description('ask a model what others were asked: accuracy by level, with intervals, as JSON and as a page')
    .argument('<suite>', `${names.join(', ')}; or list, report, compare`)
    .argument('[folders...]', 'report: the folder of a run; compare: two of them')
    .option('--reasoning <levels>', 'low, medium, high, several with commas, or all', levels, [])
    .option('--data <path>', 'file or folder with the questions (default: the data set in the hub’s cache)')
    .option('--items <n>', 'questions to ask, of each family for tiny (default: tiny 100, else all)', positive)
    .option('--others <n>', 'tiny: held-out wordings, one size harder, slips (default: a fifth of --items)', whole(0))
    .option('--baseline <model>', 'tiny: another model beside it, on the tasks of the seed, cell by cell')
    .option('--unquantised <model>', 'tiny: the same weights with experts unrounded, on the same items')
    .option('--card <folder>', 'tiny: write model card, results and plot beside the weights there')
    .option('--repeats <n>', 'times to ask each question (default: as the benchmark does)', positive)
    .option('--only <text>', 'only cells whose name contains this, e.g. addition/ or /high (repeatable)', collect, [])
    .option('--seed <n>', 'same seed, same questions and draws', whole(0), 1)
    .option('--temperature <t>', 'default: as the suite was made for', number(0, 100))
    .option('--max-tokens <n>', 'longest answer', positive)
    .option('--concurrency <n>', 'questions at once (default: 16 here, tiny 32 for each core, 4 at a URL)', positive)
    .option('--sampled <n>', 'tiny: answers at temperature 1 without masks', whole(0), 1000)
    .option(
      '--training-draws <n>',
      'tiny: training problems of each stage to look for test items in (0: none)',
      whole(0),
      20_000,
    )
    .option('--out <folder>', 'where answers, results and report go (default: gptoss-eval/SUITE-MODEL)')
    .option('--url <url>', 'ask a server instead of opening a model')
    .addOption(new Option('--api <dialect>', 'of the server').choices(['chat', 'responses']).default('chat'))
    .option('--api-key <key>', 'key to send (default: GPTOSS_API_KEY)')
    .option('--request-model <name>', 'model to name in requests (default: the first that the server lists)')
    .option('--timeout <seconds>', 'for each request', positive, 3600)
    .option('--judge-url <url>', 'server of the model that grades (hle, healthbench)')
    .option('--judge-model <name>', 'its name (default: the first that the server lists)')
    .option('--judge-api-key <key>', 'key to send there (default: GPTOSS_JUDGE_API_KEY)')
    .addOption(new Option('--judge-api <dialect>', 'of that server').choices(['chat', 'responses']).default('chat'))
    .option('--against <folder>', 'compare with this earlier run, item by item')
    .option('--dry-run', 'print what it takes, and ask nothing', false)
    .option('--json', 'print the results as one JSON object', false);
  parts.addModelOptions(evaluate);
  addToolOptions(evaluate);
  parts.addVerbosity(evaluate);
  evaluate.action((what: string, folders: string[], options) => {
    const known = ['list', 'report', 'compare', ...names];
    const wanted = what === 'report' ? 1 : what === 'compare' ? 2 : 0;
    if (!known.includes(what)) evaluate.error(`error: eval ${what} is not known; expected ${known.join(', ')}`);
    if (folders.length !== wanted) {
      evaluate.error(
        `error: eval ${what} takes ${wanted === 0 ? 'no' : wanted} folder${wanted === 1 ? '' : 's'} of runs`,
      );
    }
    found({ name: 'eval', what, folders, ...options });
  });
}

function levels(value: string): Effort[] {
  if (value === 'all') return [...efforts];
  const parts = value.split(',').map((part) => part.trim());
  const wanted = efforts.filter((effort) => parts.includes(effort));
  if (wanted.length === 0 || parts.some((part) => !efforts.some((effort) => effort === part))) {
    throw new InvalidArgumentError('expected low, medium, high, or all.');
  }
  return wanted;
}
