// `conform`: asks every case k times of a server, prints a table and pass^k (the share of cases that passed every time),
// and fails when it is below 1. Without --url the server is `gptoss serve` itself, in this process, on a free port.
// Next: cases.ts (what is asked), dialects.ts (how).

import { GptOssError } from '../../errors.ts';
import { parseArguments } from '../arguments.ts';
import type { Context } from '../context.ts';
import { safeJson, stripControls } from '../screen/controls.ts';
import { table } from '../screen/table.ts';
import { serve } from '../serve.ts';
import type { ServeCommand } from '../serve-arguments.ts';
import type { ConformCommand } from './arguments.ts';
import { type Case, cases } from './cases.ts';
import { Absent, Complaint, list, Target, textOf } from './target.ts';

interface Outcome {
  readonly id: string;
  readonly group: string;
  passed: number;
  asked: number;
  /** Why it was not asked. */
  skipped?: string;
  readonly complaints: string[];
}

export async function conform(command: ConformCommand, context: Context): Promise<void> {
  if (command.url !== undefined) return check(command, context, command.url);
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  context.signal.addEventListener('abort', onAbort, { once: true });
  let listening!: (url: string) => void;
  const url = new Promise<string>((resolve) => {
    listening = resolve;
  });
  const { out } = context.terminal;
  const served = serve(serveCommand(command), {
    ...context,
    signal: stop.signal,
    takeInterrupts: () => undefined, // Ctrl-C is for this command
    terminal: { ...context.terminal, out: { ...out, write: (text: string) => listening(text.trim()) } },
  });
  try {
    await check(command, context, await Promise.race([url, served.then(() => '')]));
  } finally {
    stop.abort();
    await served;
    context.signal.removeEventListener('abort', onAbort);
  }
}

/** `serve` with its defaults, and the model options of this command. */
function serveCommand({
  model,
  backend,
  precision,
  kv,
  threads,
  context,
  apiKey,
  verbose,
}: ConformCommand): ServeCommand {
  const parsed = parseArguments(['serve', '--port', '0', '--store', 'memory', '--grace', '0', '--quiet'], {
    version: '',
    interactive: false,
  });
  if (parsed.kind !== 'command' || parsed.command.name !== 'serve')
    throw new GptOssError('internal', 'no serve command');
  const keys = apiKey === undefined ? [] : [apiKey];
  return { ...parsed.command, model, backend, precision, kv, threads, context, apiKey: keys, verbose };
}

async function check(command: ConformCommand, context: Context, url: string): Promise<void> {
  const { signal } = context;
  const timeoutMs = command.timeout * 1000;
  const apiKey = command.apiKey ?? (command.url === undefined ? context.environment.apiKey : undefined);
  const nameless = new Target({ url, model: '', apiKey, timeoutMs, signal });
  const model = command.requestModel ?? (await firstModel(nameless));
  const target = new Target({ url, model, apiKey, timeoutMs, signal });
  const isTiny = model === 'tiny' && command.url === undefined;
  const wanted = cases.filter(
    ({ id, group }) => command.only.length === 0 || command.only.some((word) => `${group} ${id}`.includes(word)),
  );
  if (wanted.length === 0) {
    throw new GptOssError(
      'not-found',
      `no case contains ${command.only.join(' or ')}; expected one; see conform --json`,
    );
  }
  const outcomes = wanted.map(({ id, group }): Outcome => ({ id, group, passed: 0, asked: 0, complaints: [] }));
  const queue = wanted.flatMap((each, i) => {
    if (!(isTiny && each.isHard)) return Array.from({ length: command.k }, () => ({ each, outcome: outcomes[i]! }));
    outcomes[i]!.skipped = 'the embedded model knows no other tools';
    return [];
  });
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await once(next.each, target, next.outcome);
      signal.throwIfAborted();
    }
  };
  await Promise.all(Array.from({ length: command.concurrency }, work));
  report(command, context, { url, model, outcomes });
  const failed = outcomes.filter(({ skipped, passed }) => skipped === undefined && passed < command.k);
  if (failed.length > 0) {
    const { id, complaints } = failed[0]!;
    const rest = `${failed.length} of ${outcomes.filter(({ skipped }) => skipped === undefined).length} cases`;
    throw new GptOssError(
      'invalid-request',
      stripControls(
        `${rest} failed (${id}: ${complaints[0]}); expected every case to pass ${command.k} times; see the table`,
      ),
    );
  }
}

async function once(each: Case, target: Target, outcome: Outcome): Promise<void> {
  if (outcome.skipped !== undefined) return;
  try {
    await each.run(target);
    outcome.passed++;
  } catch (error) {
    if (error instanceof Absent) {
      outcome.skipped = error.message;
      return;
    }
    if (!(error instanceof Complaint || error instanceof TypeError)) throw error;
    outcome.complaints.push(error.message);
  }
  outcome.asked++;
}

async function firstModel(target: Target): Promise<string> {
  const { status, json } = await target.call('GET', '/v1/models');
  const name = textOf(list(json['data'])[0]?.['id']);
  if (status === 200 && name !== '') return name;
  throw new GptOssError('not-found', `${target.url} lists no models (${status}); expected one; give --request-model`);
}

interface Report {
  readonly url: string;
  readonly model: string;
  readonly outcomes: readonly Outcome[];
}

function report({ k, json }: ConformCommand, { terminal }: Context, { url, model, outcomes }: Report): void {
  const asked = outcomes.filter(({ skipped }) => skipped === undefined);
  const always = asked.filter(({ passed }) => passed === k).length;
  const ever = asked.filter(({ passed }) => passed > 0).length;
  const summary = {
    cases: asked.length,
    skipped: outcomes.length - asked.length,
    k,
    pass_hat_k: always,
    pass_at_k: ever,
  };
  if (json) {
    terminal.out.write(`${safeJson({ url, model, ...summary, results: outcomes })}\n`);
    return;
  }
  const rows = outcomes.map(({ group, id, passed, skipped, complaints }) =>
    [group, id, skipped === undefined ? `${passed}/${k}` : '–', skipped ?? complaints[0] ?? ''].map(stripControls),
  );
  const percent = (count: number): string => `${((100 * count) / Math.max(1, asked.length)).toFixed(1)} %`;
  terminal.out.write(
    `${table(rows, ['GROUP', 'CASE', 'PASSED', 'WHAT WAS WRONG'])}\n\n${stripControls(model)}: pass^${k} ${always} of ${asked.length} cases (${percent(always)}), pass@${k} ${percent(ever)}, ${summary.skipped} skipped\n`,
  );
}
