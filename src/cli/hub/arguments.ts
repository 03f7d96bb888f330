// Commands about models on disk and on the hub: models, fit, pull, verify, rm, convert. Parsing only; arguments.ts
// gathers these with the others.

import { Option, type Command as Program } from 'commander';
import type { Verbosity } from '../arguments.ts';

export interface ModelsCommand extends Verbosity {
  readonly name: 'models';
  readonly json: boolean;
}

export interface FitCommand extends Verbosity {
  readonly name: 'fit';
  readonly model: string;
  readonly context?: number;
  readonly kv?: 'f32' | 'f16' | 'q8';
  readonly weights?: 'stored' | 'q8';
  readonly gguf: boolean;
  readonly threads?: number;
  readonly json: boolean;
}

export interface PullCommand extends Verbosity {
  readonly name: 'pull';
  readonly model: string;
  readonly gguf: boolean;
  readonly connections: number;
  readonly yes: boolean;
  readonly json: boolean;
}

export interface VerifyCommand extends Verbosity {
  readonly name: 'verify';
  readonly model: string;
  readonly json: boolean;
}

export interface RemoveCommand extends Verbosity {
  readonly name: 'rm';
  readonly model: string;
  readonly yes: boolean;
}

export interface ConvertCommand extends Verbosity {
  readonly name: 'convert';
  readonly source: string;
  readonly target: string;
  readonly to: 'huggingface' | 'original' | 'gguf';
  readonly dense: 'keep' | 'bf16' | 'f16' | 'q8_0';
  readonly adapter?: string;
  readonly overwrite: boolean;
}

export type HubCommand = ModelsCommand | FitCommand | PullCommand | VerifyCommand | RemoveCommand | ConvertCommand;

export function addHubCommands(
  program: Program,
  found: (command: HubCommand) => void,
  shared: { readonly addVerbosity: (command: Program) => void; readonly positive: (value: string) => number },
): void {
  const { addVerbosity, positive } = shared;
  const add = (name: string, description: string): Program => {
    const command = program.command(name).description(description);
    addVerbosity(command);
    return command;
  };

  add('models', 'every gpt-oss on this machine, whoever downloaded it')
    .option('--json', 'print one JSON array', false)
    .action((options) => found({ name: 'models', ...options }));

  add('fit', 'will a model fit this machine, and how fast will it be')
    .argument('<model>', 'gpt-oss-20b, gpt-oss-120b, or a model on this machine')
    .option('--context <tokens>', 'longest conversation (default: 8192)', positive)
    .addOption(new Option('--kv <type>', 'type of the key-value cache').choices(['f32', 'f16', 'q8']))
    .addOption(new Option('--weights <kind>', 'q8: opened with --weights q8').choices(['stored', 'q8']))
    .option('--gguf', 'the smaller GGUF download instead of safetensors', false)
    .option('--threads <n>', 'threads to compute with (default: physical cores)', positive)
    .option('--json', 'print one JSON object', false)
    .action((model: string, options) => found({ name: 'fit', model, ...options }));

  add('pull', "download a model into Hugging Face's cache; goes on where it stopped")
    .argument('<model>', 'gpt-oss-20b, gpt-oss-120b, or hf:org/repo[@revision][:file]')
    .option('--gguf', 'the GGUF file instead of safetensors', false)
    .option('--connections <n>', 'parallel requests', positive, 4)
    .option('--yes', 'do not ask', false)
    .option('--json', 'print one JSON object', false)
    .action((model: string, options) => found({ name: 'pull', model, ...options }));

  add('verify', 'read a downloaded model again and compare every hash')
    .argument('<model>', 'repository or name of a downloaded model')
    .option('--json', 'print one JSON array', false)
    .action((model: string, options) => found({ name: 'verify', model, ...options }));

  add('rm', "remove a downloaded repository from Hugging Face's cache")
    .argument('<model>', 'repository, such as openai/gpt-oss-20b')
    .option('--yes', 'do not ask', false)
    .action((model: string, options) => found({ name: 'rm', model, ...options }));

  add('convert', 'write a checkpoint in another container; MXFP4 bits stay as they are')
    .argument('<source>', 'file, folder, or a model on this machine')
    .argument('<target>', 'a .gguf file, or a folder')
    .addOption(
      new Option('--to <container>', 'default: gguf for a name that ends so, else huggingface').choices([
        'huggingface',
        'original',
        'gguf',
      ]),
    )
    .addOption(
      new Option('--dense <type>', 'attention, embedding and output matrices (GGUF only)')
        .choices(['keep', 'bf16', 'f16', 'q8_0'])
        .default('keep'),
    )
    .option('--adapter <folder>', 'merge this LoRA adapter of PEFT; experts that it changes are written in BF16')
    .option('--overwrite', 'replace an existing target', false)
    .action((source: string, target: string, options) =>
      found({
        name: 'convert',
        source,
        target,
        ...options,
        to: options.to ?? (/\.gguf$/i.test(target) ? 'gguf' : 'huggingface'),
      }),
    );
}
