// Owns: one call of a tool from permission to result. Whatever a tool does (throws, hangs, ignores its signal, returns
// nonsense) ends in a result for the model within its time. Every call is told to the audit.
// Next: agent.ts, the loop around it.

import type { Audit, AuditEntry } from './audit.ts';
import { deniedText, type Permissions } from './permission.ts';
import { type Tool, type ToolInput, type ToolOutput, toolError } from './tool.ts';

export interface ToolRunOptions {
  readonly id: string;
  /** As the model wrote it. */
  readonly recipient: string;
  readonly input: ToolInput;
  readonly permissions: Permissions;
  readonly signal: AbortSignal;
  readonly audit?: Audit;
}

export type ToolRunEvent =
  | { readonly type: 'output'; readonly text: string }
  | { readonly type: 'end'; readonly output: ToolOutput; readonly ms: number };

const SECONDS = 120;

export async function* runTool(tool: Tool, options: ToolRunOptions): AsyncGenerator<ToolRunEvent, ToolOutput> {
  const { id, recipient, input, permissions, signal, audit } = options;
  const start = performance.now();
  const entry = { time: new Date().toISOString(), call: id, tool: recipient.slice(0, 200) };
  let decision: AuditEntry['decision'] = 'contained';
  let effects: AuditEntry['effects'] = [];
  const ended = (output: ToolOutput, outcome: AuditEntry['outcome']): ToolRunEvent => {
    const ms = performance.now() - start;
    const outputCharacters = output.text.length;
    audit?.({ ...entry, input: input.text.slice(0, 2000), effects, decision, outcome, ms, outputCharacters });
    return { type: 'end', output, ms };
  };

  let need: ReturnType<NonNullable<Tool['needs']>>;
  try {
    need = tool.needs?.(input) ?? null;
    if (need !== null) {
      effects = need.effects;
      decision = await abortable(permissions.decide(recipient, need, signal), signal);
    }
  } catch (error) {
    decision = 'denied';
    const output = toolError(signal.aborted ? 'stopped by the user.' : messageOf(error));
    yield ended(output, signal.aborted ? 'aborted' : 'not-run');
    return output;
  }
  if (need !== null && decision === 'denied') {
    const output = toolError(deniedText(need.effects, need.summary));
    yield ended(output, 'not-run');
    return output;
  }

  const seconds = tool.seconds ?? SECONDS;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), seconds * 1000);
  const both = AbortSignal.any([signal, late.signal]);
  const shown: string[] = [];
  let wake = (): void => undefined;
  const context = {
    signal: both,
    id,
    show: (text: string): void => {
      shown.push(String(text));
      wake();
    },
  };
  let settled: { readonly output: ToolOutput; readonly outcome: AuditEntry['outcome'] } | null = null;
  const running = abortable(
    (async () => tool.run(input, context))().then((output) => checkedOutput(output)),
    both,
  ).then(
    (output) => {
      settled = { output, outcome: output.isError === true ? 'error' : 'ok' };
    },
    (error: unknown) => {
      settled = signal.aborted
        ? { output: toolError('stopped by the user.'), outcome: 'aborted' }
        : late.signal.aborted
          ? { output: toolError(`it took longer than ${seconds} s and was stopped.`), outcome: 'timeout' }
          : { output: toolError(messageOf(error)), outcome: 'error' };
    },
  );
  try {
    for (;;) {
      while (shown.length > 0) yield { type: 'output', text: shown.shift()! };
      if (settled !== null) break;
      await Promise.race([running, new Promise<void>((resolve) => (wake = resolve))]);
    }
  } finally {
    clearTimeout(timer);
    if (settled === null) late.abort(); // nobody reads on: the tool is to stop
  }
  const { output, outcome } = settled as { output: ToolOutput; outcome: AuditEntry['outcome'] };
  yield ended(output, outcome);
  return output;
}

/** Rejects when the signal fires, whether or not the promise ever settles. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error('stopped'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** A tool's author may return anything. */
function checkedOutput(output: unknown): ToolOutput {
  if (typeof output === 'string') return { text: output };
  if (typeof output === 'object' && output !== null && typeof (output as ToolOutput).text === 'string') {
    return output as ToolOutput;
  }
  return toolError('the tool returned nothing that can be read.');
}

function messageOf(error: unknown): string {
  try {
    const text = error instanceof Error ? error.message : String(error);
    return text === '' ? 'the tool failed without saying why.' : text.slice(0, 2000);
  } catch {
    return 'the tool failed without saying why.';
  }
}
