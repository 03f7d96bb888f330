// `models`: the table of what is on this machine, complete or not. `verify` and `rm` for what was downloaded.

import { basename, dirname } from 'node:path';
import { GptOssError } from '../../errors.ts';
import { displayName, findModels, snapshotFolder } from '../../hub/find.ts';
import { parseWanted } from '../../hub/plan.ts';
import { removeRepository, repositoryFolder, type Verified, verifySnapshot } from '../../hub/pull.ts';
import type { Context } from '../context.ts';
import { safeJson, stripControls } from '../screen/controls.ts';
import { bytes, table } from '../screen/table.ts';
import type { ModelsCommand, RemoveCommand, VerifyCommand } from './arguments.ts';
import { confirm } from './confirm.ts';
import { progressLine } from './progress.ts';

export function models(command: ModelsCommand, { stores, terminal }: Context): void {
  const found = findModels(stores);
  if (command.json) {
    terminal.out.write(`${safeJson(found.map((model) => ({ name: displayName(model), ...model })))}\n`);
    return;
  }
  if (found.length === 0) {
    terminal.err.write(
      'gptoss: no gpt-oss on this machine yet; `gptoss pull gpt-oss-20b` downloads it, `gptoss fit gpt-oss-20b` tells whether it fits\n',
    );
    return;
  }
  const rows = found.map((model) =>
    [
      model.id,
      displayName(model),
      model.format,
      model.quantisation,
      bytes(model.bytes),
      model.problem === null ? 'complete' : `unusable: ${model.problem}`,
      model.path,
    ].map(stripControls),
  );
  terminal.out.write(`${table(rows, ['MODEL', 'NAME', 'FORMAT', 'TYPES', 'SIZE', 'STATE', 'WHERE'])}\n`);
}

export async function verify(command: VerifyCommand, context: Context): Promise<void> {
  const { terminal, stores, signal } = context;
  const folder = downloadedFolder(command.model, context);
  const found = findModels(stores).filter((model) => model.path.startsWith(folder));
  const total = Math.max(
    1,
    found.reduce((sum, model) => sum + model.bytes, 0),
  );
  const bar = progressLine(context, 'reading', command.quiet);
  const results: Verified[] = [];
  let done = 0;
  try {
    for await (const result of verifySnapshot(folder, (n) => {
      done += n;
      bar.update(Math.min(done, total), total);
    })) {
      results.push(result);
      if (signal.aborted) throw new GptOssError('aborted', 'verification was stopped');
    }
  } finally {
    bar.stop();
  }
  const bad = results.filter((result) => result.problem !== null);
  if (command.json) terminal.out.write(`${safeJson(results)}\n`);
  else {
    const rows = results.map(({ file, bytes: size, problem }) => [
      stripControls(file),
      bytes(size),
      problem ?? 'as published',
    ]);
    terminal.out.write(`${table(rows)}\n`);
  }
  if (bad.length > 0) {
    throw new GptOssError(
      'io',
      `${bad.length} of ${results.length} files differ from what was published (${bad[0].file}: ${bad[0].problem}); expected their hashes; remove the model with \`gptoss rm\` and pull it again`,
    );
  }
}

/** Snapshot folder of a repository in the cache. */
function downloadedFolder(word: string, { stores }: Context): string {
  const { repository, revision } = parseWanted(word);
  const folder = snapshotFolder(repositoryFolder(repository, stores), revision);
  if (folder !== null) return folder;
  const gguf = parseWanted(word, { gguf: true });
  const other = snapshotFolder(repositoryFolder(gguf.repository, stores), gguf.revision);
  if (other !== null) return other;
  throw new GptOssError(
    'not-found',
    `${repository} is not in the cache; expected a downloaded repository; see \`gptoss models\``,
  );
}

export async function remove(command: RemoveCommand, context: Context): Promise<void> {
  const folder = downloadedFolder(command.model, context);
  const repo = dirname(dirname(folder));
  const repository = basename(repo).slice('models--'.length).replace('--', '/');
  const size = findModels(context.stores)
    .filter((model) => model.path.startsWith(repo))
    .reduce((sum, model) => sum + model.bytes, 0);
  const question = `Remove ${repository} (${bytes(size)}) from ${repo}?`;
  if (!command.yes && !(await confirm(question, context))) {
    throw new GptOssError('invalid-request', `${repository} was kept; expected a yes; answer y, or give --yes`);
  }
  const freed = removeRepository(repository, context.stores);
  context.terminal.err.write(`gptoss: removed ${repository}, ${bytes(freed)} free again\n`);
}
