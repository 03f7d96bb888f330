// `pull` and `convert`: long work with a bar, stopped by Ctrl-C without losing anything.

import { GptOssError } from '../../errors.ts';
import { convertCheckpoint } from '../../hub/convert/convert.ts';
import { parseWanted, type Wanted } from '../../hub/plan.ts';
import { pull as download, type PullResult } from '../../hub/pull.ts';
import { chooseModel } from '../choose-model.ts';
import type { Context } from '../context.ts';
import { safeJson, stripControls } from '../screen/controls.ts';
import { bytes } from '../screen/table.ts';
import type { ConvertCommand, PullCommand } from './arguments.ts';
import { progressLine } from './progress.ts';

export async function pull(command: PullCommand, context: Context): Promise<void> {
  const { terminal } = context;
  const wanted = parseWanted(command.model, { gguf: command.gguf });
  const { path, plan, transferred } = await fetchWithBar(wanted, context, command);
  if (command.json) {
    const { repository, commit } = plan;
    terminal.out.write(`${safeJson({ path, repository, commit, bytes: plan.bytes, transferred })}\n`);
    return;
  }
  terminal.out.write(`${path}\n`);
  if (!command.quiet) {
    terminal.err.write(
      `gptoss: ${plan.repository} is complete (${bytes(plan.bytes)}, ${bytes(transferred)} of it now), every hash as published\n`,
    );
  }
}

/** A download with a bar; Ctrl-C stops it, and the next one goes on from there. */
export async function fetchWithBar(
  wanted: Wanted,
  context: Context,
  options: { readonly connections: number; readonly quiet: boolean },
): Promise<PullResult> {
  const { terminal, stores, signal } = context;
  const bar = progressLine(context, 'fetching', options.quiet);
  try {
    return await download(wanted, stores, {
      signal,
      connections: options.connections,
      onProgress: ({ bytes: done, total, file }) => bar.update(done, total, stripControls(file)),
      onWait: (file) => {
        if (!options.quiet)
          terminal.err.write(`gptoss: another process is fetching ${stripControls(file)}; waiting for it\n`);
      },
    });
  } finally {
    bar.stop();
  }
}

export function convert(command: ConvertCommand, context: Context): void {
  const { terminal, stores, signal } = context;
  const { path: source } = chooseModel(command.source, stores);
  const bar = progressLine(context, 'writing', command.quiet);
  try {
    const written = convertCheckpoint(source, command.target, {
      to: command.to,
      dense: command.dense,
      adapter: command.adapter,
      overwrite: command.overwrite,
      signal,
      onProgress: (done, total) => bar.update(done, total),
    });
    bar.stop();
    terminal.out.write(`${command.target}\n`);
    if (!command.quiet) terminal.err.write(`gptoss: ${bytes(written)} of tensors written\n`);
  } catch (error) {
    if (error instanceof RangeError)
      throw new GptOssError(
        'out-of-memory',
        'the conversion ran out of memory; expected about 1 GB; close other programs',
        { cause: error },
      );
    throw error;
  } finally {
    bar.stop();
  }
}
