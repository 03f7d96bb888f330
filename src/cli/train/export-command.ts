// `train export --to unquantised`: the weights of a run before rounding. `train export --to trl | unsloth`: a folder that an existing distributed trainer takes from here: the model as a Hugging
// Face folder, the conversations rendered to ids with the mask as labels, a configuration, and the command to run.

import { cpSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GptOssError } from '../../errors.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { fileError } from '../../formats/file.node.ts';
import { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { tokenizerOf } from '../../text/o200k-harmony.node.ts';
import type { Example } from '../../train/data/examples.ts';
import { readStageEnd } from '../../train/run/files.node.ts';
import { conversationSource } from '../../train/run/recipe.ts';
import { chooseModel } from '../choose-model.ts';
import type { Context } from '../context.ts';
import type { TrainCommand } from './arguments.ts';
import { readData } from './lint-command.ts';
import { writeModelFolder } from './model-folder.node.ts';
import { planOf } from './plan.ts';
import { fromCheckpoint } from './starting-point.ts';

const GENERATED = 2_000; // conversations of the task mixture, when no file is given

/** The weights at the end of a run, experts unrounded: to see what MXFP4 costs. */
function exportUnquantised({ files, out }: TrainCommand, { terminal }: Context): void {
  const run = files[0];
  if (run === undefined) {
    throw new GptOssError(
      'invalid-request',
      'no run was named; expected its folder, as --out of `gptoss train` had it',
    );
  }
  const ends = ['rl', 'dpo', 'anneal', 'sft', 'pretrain'].map((stage) => join(run, stage, 'end.safetensors'));
  const end = ends.find((path) => existsSync(path));
  if (end === undefined) {
    throw new GptOssError(
      'not-found',
      `${run} has no finished stage; expected e.g. ${ends.at(-2)}; finish the run first`,
    );
  }
  const start = fromCheckpoint(join(run, 'model'));
  try {
    writeModelFolder(out, { ...readStageEnd(end), experts: 'bf16' }, start.side);
  } finally {
    start.close();
  }
  terminal.out.write(`${out}\n`);
}

export function exportForTrainer(command: TrainCommand, context: Context): void {
  if (command.to === 'unquantised') {
    exportUnquantised(command, context);
    return;
  }
  const path = chooseModel(command.model, context.stores).path;
  const checkpoint = openCheckpoint(path);
  const { out, to } = command;
  try {
    if (!statSync(path).isDirectory()) {
      throw new GptOssError(
        'invalid-request',
        `${path} is a file; expected a Hugging Face folder; run \`gptoss convert\` first`,
      );
    }
    const encoding = new HarmonyEncoding(tokenizerOf(checkpoint.tokenizer, checkpoint.config.vocab));
    const longest = command.longest ?? Math.min(4096, checkpoint.config.maxContext);
    const generated = conversationSource(encoding, { ...planOf({ ...command, what: 'sft' }), longest });
    const examples: Example[] =
      command.files.length === 0
        ? Array.from({ length: GENERATED }, (_, n) => generated(n))
        : command.files.flatMap((file) =>
            readData(file, encoding, longest).conversations.map(({ example }) => example),
          );
    if (examples.length === 0)
      throw new GptOssError(
        'invalid-request',
        'there is no good conversation; expected at least one; run `gptoss train lint`',
      );
    mkdirSync(out, { recursive: true });
    cpSync(path, join(out, 'model'), { recursive: true, dereference: true });
    writeFileSync(join(out, 'data.jsonl'), examples.map(rowOf).join(''));
    const files = to === 'trl' ? trlFiles(longest) : unslothFiles(longest);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(out, name), text);
    context.terminal.out.write(`${out}\n`);
    if (!command.quiet) {
      context.terminal.err.write(
        `gptoss: ${examples.length} conversations; in that folder run: ${to === 'trl' ? TRL_COMMAND : UNSLOTH_COMMAND}\n`,
      );
    }
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).errno === undefined ? cause : fileError(out, cause);
  } finally {
    checkpoint.close();
  }
}

/** Ids, and labels with -100 where nothing is learned: both trainers take them as they are. */
function rowOf({ ids, mask }: Example): string {
  const labels = Array.from(ids, (id, i) => (mask[i]! > 0 ? id : -100));
  return `${JSON.stringify({ input_ids: Array.from(ids), attention_mask: Array.from(ids, () => 1), labels })}\n`;
}

const TRL_COMMAND = 'accelerate launch train.py --config config.yaml';
const UNSLOTH_COMMAND = 'python train.py';

const LORA = `r=8, lora_alpha=16, target_modules="all-linear",
    target_parameters=["7.mlp.experts.gate_up_proj", "7.mlp.experts.down_proj",
                       "15.mlp.experts.gate_up_proj", "15.mlp.experts.down_proj",
                       "23.mlp.experts.gate_up_proj", "23.mlp.experts.down_proj"]`;

function trlFiles(longest: number): Record<string, string> {
  return {
    'config.yaml': `model_name_or_path: ./model
learning_rate: 2.0e-4
num_train_epochs: 1
per_device_train_batch_size: 4
gradient_accumulation_steps: 4
max_length: ${longest}
warmup_ratio: 0.03
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {min_lr_rate: 0.1}
bf16: true
output_dir: ./adapter
`,
    'train.py': `# Supervised fine-tuning with TRL: pip install "trl>=0.21" peft datasets. Ids and labels come ready from data.jsonl.
import sys
import yaml
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, Mxfp4Config
from trl import SFTConfig, SFTTrainer

settings = yaml.safe_load(open("config.yaml"))
name = settings.pop("model_name_or_path")
model = AutoModelForCausalLM.from_pretrained(
    name, attn_implementation="eager", torch_dtype="auto", use_cache=False,
    quantization_config=Mxfp4Config(dequantize=True))
layers = model.config.num_hidden_layers
lora = LoraConfig(${LORA} if layers == 24 else ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])
trainer = SFTTrainer(
    model=model, args=SFTConfig(dataset_kwargs={"skip_prepare_dataset": True}, **settings),
    train_dataset=load_dataset("json", data_files="data.jsonl", split="train"),
    processing_class=AutoTokenizer.from_pretrained(name), peft_config=lora)
trainer.train(resume_from_checkpoint="--resume" in sys.argv)
trainer.save_model("adapter")
`,
  };
}

function unslothFiles(longest: number): Record<string, string> {
  return {
    'config.json': `${JSON.stringify({ max_seq_length: longest, r: 8, lora_alpha: 16, learning_rate: 2e-4, epochs: 1 }, null, 2)}\n`,
    'train.py': `# QLoRA with Unsloth: pip install unsloth. Ids and labels come ready from data.jsonl.
import json
from unsloth import FastLanguageModel
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

c = json.load(open("config.json"))
model, tokenizer = FastLanguageModel.from_pretrained("./model", max_seq_length=c["max_seq_length"], load_in_4bit=True)
model = FastLanguageModel.get_peft_model(
    model, r=c["r"], lora_alpha=c["lora_alpha"],
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
trainer = SFTTrainer(
    model=model, processing_class=tokenizer,
    train_dataset=load_dataset("json", data_files="data.jsonl", split="train"),
    args=SFTConfig(per_device_train_batch_size=1, gradient_accumulation_steps=8, num_train_epochs=c["epochs"],
                   learning_rate=c["learning_rate"], output_dir="adapter",
                   dataset_kwargs={"skip_prepare_dataset": True}))
trainer.train()
model.save_pretrained("adapter")
`,
  };
}
