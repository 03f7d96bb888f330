// `gptoss train WHAT`: picks what to do. Stages: stage-command.ts; data: lint-command.ts; hand-over: export-command.ts.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../../formats/file.node.ts';
import { parseLog } from '../../train/run/log.ts';
import type { Context } from '../context.ts';
import type { TrainCommand } from './arguments.ts';
import { writeReport } from './report.ts';

export async function train(command: TrainCommand, context: Context): Promise<void> {
  switch (command.what) {
    case 'lint':
      return (await import('./lint-command.ts')).lint(command, context);
    case 'export':
      return (await import('./export-command.ts')).exportForTrainer(command, context);
    case 'report': {
      const folder = command.files[0] ?? command.out;
      const path = join(folder, 'log.jsonl');
      let text: string;
      try {
        text = readFileSync(path, 'utf8');
      } catch (cause) {
        throw fileError(path, cause);
      }
      context.terminal.out.write(`${writeReport(folder, parseLog(text))}\n`);
      return;
    }
    default:
      return (await import('./stage-command.ts')).runStages(command, context);
  }
}
