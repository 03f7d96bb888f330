// `doctor`: what this machine can do, which kernels and which model would run here and why, and every reason why
// something would not. Opens no model and computes nothing, so it always ends.

import { chooseVariant, defaultThreads, findAddon } from '../backend/cpu/addon.ts';
import { GptOssError } from '../errors.ts';
import { findModels } from '../hub/find.ts';
import type { DoctorCommand, ModelOptions } from './arguments.ts';
import { chooseModel, type ModelChoice } from './choose-model.ts';
import type { Context } from './context.ts';
import { describeError } from './describe-error.ts';
import type { Environment } from './environment.ts';
import { describeMachine } from './machine.ts';
import { safeJson, stripControls } from './screen/controls.ts';
import { bytes, table } from './screen/table.ts';
import { styled } from './terminal.ts';

export async function doctor(command: DoctorCommand, context: Context): Promise<void> {
  const { terminal, environment, stores, version } = context;
  const machine = describeMachine();
  const { addon, path, problems } = findAddon();
  const native = { path, problems, ...(addon?.machine() ?? { features: [], isas: [], physicalCores: 0 }) };
  const models = findModels(stores);
  const backend = attempt<BackendChoice>(() => chooseBackend(command, environment));
  const model = attempt<ModelChoice>(() => chooseModel(command.model, stores));
  const precision = command.precision ?? ('name' in backend && backend.name === 'reference' ? 'exact' : 'fast');
  if (command.json) {
    const report = {
      version,
      machine,
      native,
      backend,
      precision,
      models,
      model,
      store: stores.home,
    };
    terminal.out.write(`${safeJson(report)}\n`);
    return;
  }
  const { out } = terminal;
  const section = (title: string, rows: readonly (readonly string[])[]): void => {
    out.write(`${styled(out, title, 'bold')}\n`);
    const lines = table(rows.map((row) => row.map(stripControls)));
    out.write(`${lines.replace(/^/gm, '  ')}\n\n`);
  };
  const cores = native.physicalCores > 0 ? `${native.physicalCores} physical, ` : '';
  section('Machine', [
    ['gptoss', version],
    ['Node', `${machine.node} on ${machine.system}, ${machine.architecture}`],
    ['processor', machine.processor],
    ['cores', `${cores}${machine.logicalCores} logical, ${machine.usableCores} usable`],
    [
      'memory',
      `${bytes(machine.availableBytes)} available of ${bytes(machine.limitBytes ?? machine.memoryBytes)}${machine.limitBytes ? ' (limit of this container)' : ''}`,
    ],
    ...(native.features.length > 0 ? [['features', native.features.join(' ')]] : []),
  ]);
  section('Computing', [
    ['native kernels', path ?? 'not built'],
    ...(path === null || command.verbose ? problems.map((problem) => ['tried', problem]) : []),
    ...(native.isas.length > 0 ? [['variants', `${native.isas.join(', ')} (best first)`]] : []),
    ...('error' in backend ? [['would run', backend.error]] : backendRows(backend, precision)),
  ]);
  section('Models', [
    ...models.map(({ id, quantisation, bytes: size, problem, path: where }) => [
      id,
      quantisation,
      bytes(size),
      problem === null ? where : `unusable: ${problem}`,
    ]),
    ...(models.length === 0
      ? [['none found in the stores of Hugging Face, Ollama, LM Studio, llama.cpp and gptoss']]
      : []),
  ]);
  section('A command without --model', [
    'error' in model ? [model.error] : ['would open', model.path],
    ...('error' in model ? [] : [['because', WHY[model.why]]]),
  ]);
}

function backendRows({ name, variant, threads, why }: BackendChoice, precision: string): string[][] {
  const device = variant === null ? name : `${name} (${variant})`;
  return [
    ['would run', `${device}, ${threads} thread${threads === 1 ? '' : 's'}, ${precision}`],
    ['because', why],
  ];
}

const WHY: Record<ModelChoice['why'], string> = {
  asked: 'it was asked for with --model',
  found: 'it is the best gpt-oss found on this machine',
  embedded: 'no gpt-oss was found, and this one comes with the package',
};

function attempt<T>(choose: () => T): T | { readonly error: string } {
  try {
    return choose();
  } catch (error) {
    return { error: describeError(error, false).replace(/^gptoss: /, '') };
  }
}

interface BackendChoice {
  readonly name: 'cpu' | 'reference';
  /** Of the native kernels; null for reference. */
  readonly variant: string | null;
  readonly threads: number;
  readonly why: string;
}

function chooseBackend(options: ModelOptions, environment: Environment): BackendChoice {
  const reference = (why: string): BackendChoice => ({ name: 'reference', variant: null, threads: 1, why });
  if (options.backend === 'reference') return reference('asked for with --backend');
  const { addon } = findAddon();
  if (addon === null) {
    if (options.backend === undefined && environment.isa === null) {
      return reference('the native kernels are not built: `npm run build:native` builds them (needs a C++ compiler)');
    }
    throw new GptOssError(
      'unsupported-device',
      'the native kernels are not built; expected them for --backend cpu or GPTOSS_ISA; run `npm run build:native`, or `gptoss doctor` to see why',
    );
  }
  const machine = addon.machine();
  const variant = chooseVariant(machine, environment.isa ?? undefined, undefined);
  const why =
    environment.isa === null
      ? `the best of ${machine.isas.join(', ')} on this processor`
      : `forced by GPTOSS_ISA=${environment.isa}`;
  return { name: 'cpu', variant, threads: options.threads ?? defaultThreads(machine), why };
}
