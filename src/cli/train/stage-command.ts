// `train pretrain | sft | dpo | rl | tiny`: stages one after another in one folder. Each goes on from its newest checkpoint,
// else from the end of the stage before it, so the same command resumes whatever was interrupted, and says when it is done.
//
//   OUT/tokenizer/        the vocabulary, where it was trained here
//   OUT/STAGE/            checkpoints while it runs; end.safetensors (BF16) when it is over
//   OUT/model/            the model after the last finished stage, ready for `gptoss run --model`
//   OUT/log.jsonl, report.html

import { setMaxListeners } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from '../../backend/backend.ts';
import { CpuBackend } from '../../backend/cpu/cpu.ts';
import { ReferenceBackend } from '../../backend/reference/reference.ts';
import { Engine } from '../../engine/engine.ts';
import { GptOssError, isGptOssError } from '../../errors.ts';
import { fileError } from '../../formats/file.node.ts';
import { createModel } from '../../model/load.ts';
import { documentExample } from '../../train/data/examples.ts';
import { withReference } from '../../train/dpo.ts';
import { findRun, loadRun, removeRuns, saveRun } from '../../train/run/checkpoint.node.ts';
import { evaluateTasks } from '../../train/run/evaluate.ts';
import { appendLog, readStageEnd, rewindLog, saveStageEnd } from '../../train/run/files.node.ts';
import { parseLog } from '../../train/run/log.ts';
import {
  conversationSource,
  documentSource,
  environmentSource,
  PAIRS,
  preferencePairs,
  type Recipe,
} from '../../train/run/recipe.ts';
import { epochBatches, runStage, type StagePlan, type StageSource, streamBatches } from '../../train/run/stages.ts';
import { DATA_VERSION } from '../../train/tasks/families.ts';
import { Random } from '../../train/tasks/random.ts';
import type { Trainer } from '../../train/trainer.ts';
import { openTrainer } from '../../training.node.ts';
import { chooseModel } from '../choose-model.ts';
import type { Context } from '../context.ts';
import { stripControls } from '../screen/controls.ts';
import type { TrainCommand } from './arguments.ts';
import { stageBar } from './bar.ts';
import { dataSamples, describeData, stageData } from './data-plan.ts';
import { readData } from './lint-command.ts';
import { writeModelFolder } from './model-folder.node.ts';
import { describePlan, planOf } from './plan.ts';
import { writeReport } from './report.ts';
import { fromCheckpoint, fromNothing, type StartingPoint, tokenizerFromNothing } from './starting-point.ts';

export async function runStages(command: TrainCommand, context: Context): Promise<void> {
  const { terminal, stores, signal } = context;
  setMaxListeners(0, signal); // every answer of a rollout listens
  const isFresh = command.model === undefined && (command.what === 'pretrain' || command.what === 'tiny');
  if (isFresh && command.adapter !== undefined) {
    throw new GptOssError(
      'invalid-request',
      'an adapter belongs to a model; expected --model beside --adapter; name the model it was made for',
    );
  }
  const recipe = planOf(command);
  if (command.dryRun) {
    const tokenizer = isFresh && command.samples > 0 ? tokenizerFromNothing(recipe) : null;
    const data = tokenizer === null ? [] : stageData(tokenizer, recipe);
    terminal.out.write(describePlan(recipe, command, data));
    if (tokenizer !== null && !command.json) {
      terminal.out.write(`\n${describeData(data)}\n${dataSamples(tokenizer, recipe, command.samples)}`);
    }
    return;
  }
  try {
    mkdirSync(command.out, { recursive: true });
  } catch (cause) {
    throw fileError(command.out, cause);
  }
  const start = isFresh
    ? fromNothing(command.out, recipe)
    : fromCheckpoint(chooseModel(command.model, stores).path, command.adapter);
  if (start.adaptedExperts && !command.quiet) {
    terminal.err.write(
      'gptoss: the adapter changes experts; the model at the end is written in MXFP4 like any other, which keeps of small changes only what training under that rounding makes its own; `gptoss convert --adapter` keeps all\n',
    );
  }
  const deadline =
    command.maxMinutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + command.maxMinutes * 60_000;
  const run = new Run(command, context, recipe, start, deadline);
  try {
    for (const [i, plan] of recipe.stages.entries()) {
      const before = i === 0 ? null : join(command.out, recipe.stages[i - 1]!.kind, END);
      if (!(await run.stage(plan, before))) {
        if (!command.quiet && !signal.aborted) {
          terminal.err.write(`gptoss: ${plan.kind} stopped in time; the same command goes on from there\n`);
        }
        return;
      }
    }
    terminal.out.write(`${join(command.out, 'model')}\n`);
  } finally {
    start.close();
  }
}

const END = 'end.safetensors';

class Run {
  readonly #command: TrainCommand;
  readonly #context: Context;
  readonly #recipe: Recipe;
  readonly #start: StartingPoint;
  readonly #deadline: number;
  readonly #log: string;

  constructor(command: TrainCommand, context: Context, recipe: Recipe, start: StartingPoint, deadline: number) {
    this.#command = command;
    this.#context = context;
    this.#recipe = recipe;
    this.#start = start;
    this.#deadline = deadline;
    this.#log = join(command.out, 'log.jsonl');
  }

  /** Whether the stage is over; at once when it was before. */
  async stage(plan: StagePlan, before: string | null): Promise<boolean> {
    const { quiet, out } = this.#command;
    const folder = join(out, plan.kind);
    const told = JSON.stringify({ plan, data: this.#dataNamed() });
    const end = join(folder, END);
    if (existsSync(end)) {
      if (!quiet) this.#context.terminal.err.write(`gptoss: ${plan.kind} is done already (${stripControls(end)})\n`);
      return true;
    }
    const source = before === null ? this.#start : readStageEnd(before);
    const saved = findRun(folder);
    if (saved !== null && saved.plan !== told) {
      throw new GptOssError(
        'invalid-request',
        `${folder} was begun with other settings; expected the same ones to go on; use them, or another --out`,
      );
    }
    const { backend, threads } = this.#command;
    const trainer = openTrainer(source, { backend, threads }, saved ?? undefined);
    if (saved !== null && saved.variant !== trainer.learner.variant && !quiet) {
      this.#context.terminal.err.write(
        `gptoss: this run was computed by ${stripControls(saved.variant)} and goes on with ${trainer.learner.variant}: its bits will differ from one that was not interrupted\n`,
      );
    }
    try {
      // References of preferences are those of the beginning, so the source is made before a checkpoint is loaded.
      const learned = await this.#sourceOf(plan, trainer);
      if (saved !== null) loadRun(saved, trainer);
      rewindLog(this.#log, plan.kind, trainer.state.step);
      return await this.#run(plan, learned, trainer, folder, told);
    } finally {
      await trainer.close();
    }
  }

  async #run(plan: StagePlan, source: StageSource, trainer: Trainer, folder: string, told: string): Promise<boolean> {
    const { signal } = this.#context;
    const bar = stageBar(this.#context, plan.kind, this.#command.quiet);
    const save = async (): Promise<void> => void saveRun(folder, trainer, { startStep: 0, plan: told });
    let isOver: boolean;
    try {
      isOver = await runStage({
        ...{ plan, source, trainer, encoding: this.#start.encoding, startStep: 0 },
        ...{ now: () => performance.now(), deadline: this.#deadline, signal, save },
        onStep: (record) => {
          appendLog(this.#log, [{ type: 'step', ...record }]);
          bar.update(record);
        },
      });
    } finally {
      bar.stop();
      if (existsSync(this.#log)) writeReport(this.#command.out, parseLog(readFileSync(this.#log, 'utf8')));
    }
    if (!isOver) return false;
    if (plan.kind !== 'pretrain') await this.#evaluate(plan, trainer);
    const tensors = trainer.tensors({ quantised: true });
    const noted = `${JSON.stringify(this.#noted(plan, trainer), null, 2)}\n`;
    const side = { ...this.#start.side, 'training.json': noted };
    writeModelFolder(join(this.#command.out, 'model'), { config: trainer.config, tensors }, side);
    saveStageEnd(join(folder, END), trainer);
    removeRuns(folder);
    return true;
  }

  /** What the model card says of the training (`gptoss eval tiny --card`). */
  #noted(plan: StagePlan, trainer: Trainer): Readonly<Record<string, unknown>> {
    const { seed, rows, longest, families, stages } = this.#recipe;
    const log = existsSync(this.#log) ? parseLog(readFileSync(this.#log, 'utf8')) : [];
    const done = stages.slice(0, stages.indexOf(plan) + 1).map(({ kind, steps }) => {
      const written = log.filter((line) => line.type === 'step' && line.stage === kind);
      return `${kind}: ${written.length || steps} updates`;
    });
    return {
      stages: done.join(', '),
      tokens_of_an_update: rows,
      longest_example: longest,
      data: `generated, version ${DATA_VERSION}${families === undefined ? '' : `, families ${families.join(', ')}`}`,
      seed,
      computed_by: trainer.learner.variant,
    };
  }

  async #evaluate({ kind }: StagePlan, trainer: Trainer): Promise<void> {
    const { evaluate, out } = this.#command;
    const { signal } = this.#context;
    if (evaluate === 0 || signal.aborted) return;
    const model = createModel(
      { config: trainer.config, tensors: trainer.tensors({ quantised: true }) },
      this.#backend(),
    );
    const engine = new Engine(model, {
      context: Math.min(1024, trainer.config.maxContext),
      maxSequences: 16,
      kv: 'f32',
    });
    try {
      const options = {
        stage: kind,
        seed: this.#recipe.seed,
        items: evaluate,
        families: this.#recipe.families,
        signal,
      };
      const records = await evaluateTasks(engine, this.#start.encoding, options);
      appendLog(
        this.#log,
        records.map((record) => ({ type: 'task', ...record })),
      );
    } finally {
      await engine.close();
    }
    writeReport(out, parseLog(readFileSync(this.#log, 'utf8')));
  }

  #backend(): Backend {
    const { backend, threads } = this.#command;
    if (backend !== 'reference') {
      try {
        return new CpuBackend({ precision: 'exact', threads });
      } catch (error) {
        if (backend === 'cpu' || !isGptOssError(error, 'unsupported-device')) throw error;
      }
    }
    return new ReferenceBackend({ precision: 'exact' });
  }

  #dataNamed(): unknown {
    const { files, adapter, groups, groupSize, beta } = this.#command;
    const { seed, rows, longest, families } = this.#recipe;
    return { files, adapter, groups, groupSize, beta, seed, rows, longest, families };
  }

  async #sourceOf(plan: StagePlan, trainer: Trainer): Promise<StageSource> {
    const { encoding } = this.#start;
    const { files, groups, groupSize, beta } = this.#command;
    const recipe = this.#recipe;
    const { rows, seed, longest } = recipe;
    switch (plan.kind) {
      case 'pretrain': {
        const paragraphs = files
          .flatMap((file) => readText(file).split(/\n\s*\n/))
          .filter((text) => text.trim() !== '');
        if (paragraphs.length > 0 && !this.#command.families) {
          const examples = paragraphs.map((text) => documentExample(encoding, text.slice(0, longest * 8)));
          const cut = examples.map(({ ids, mask }) => ({
            ids: ids.subarray(0, longest),
            mask: mask.subarray(0, longest),
          }));
          return { type: 'batches', batch: epochBatches(cut, rows, seed) };
        }
        return { type: 'batches', batch: streamBatches(documentSource(encoding, recipe, paragraphs), rows) };
      }
      case 'sft':
      case 'anneal': {
        if (files.length === 0)
          return { type: 'batches', batch: streamBatches(conversationSource(encoding, recipe, plan.kind), rows) };
        const examples = files.flatMap((file) => this.#good(file).conversations.map(({ example }) => example));
        return { type: 'batches', batch: epochBatches(examples, rows, seed) };
      }
      case 'dpo': {
        const found =
          files.length === 0 ? preferencePairs(encoding, recipe) : files.flatMap((file) => [...this.#good(file).pairs]);
        if (found.length === 0) {
          throw new GptOssError(
            'invalid-request',
            'there are no pairs; expected lines with chosen and rejected; see docs/training.md',
          );
        }
        const pairs = await withReference(trainer, found, plan.quantisedShare > 0);
        const perStep = Math.min(PAIRS, pairs.length);
        return {
          ...{ type: 'pairs', beta },
          pairs: (step) => new Random(seed, 'pairs', step).sample(pairs, perStep),
        };
      }
      case 'rl': {
        const replayed = conversationSource(encoding, { ...recipe, seed: seed + 2 });
        return {
          type: 'environments',
          options: {
            ...{ seed, groups, groupSize, backend: () => this.#backend() },
            environment: environmentSource(encoding, recipe),
            replay: (step) =>
              Array.from({ length: Math.ceil((groups * groupSize) / 10) }, (_, i) => replayed(step * 1024 + i)),
          },
        };
      }
    }
  }

  /** A file's data; refused when nothing or only half of it can be used. */
  #good(file: string): ReturnType<typeof readData> {
    const data = readData(file, this.#start.encoding, this.#recipe.longest);
    const errors = data.problems.filter(({ severity }) => severity === 'error');
    if (errors.length > 0) {
      const { line, message } = errors[0]!;
      throw new GptOssError(
        'invalid-request',
        `${stripControls(file)} has ${errors.length} problems, the first in line ${line}: ${stripControls(message)}; expected none; run \`gptoss train lint ${stripControls(file)}\``,
      );
    }
    return data;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw fileError(file, cause);
  }
}
