// The `gptoss/browser` entry: the same core without Node. Files that the page has fetched become a model that chats,
// computed by the reference backend in plain TypeScript, which is for small models and for tests.
// Refuses: reading files or the network itself. Under Node, `open(path)` of the main entry has native code.

import type { KvType, Precision } from './backend/backend.ts';
import { ReferenceBackend } from './backend/reference/reference.ts';
import type { EngineOptions } from './engine/engine-options.ts';
import { memoryFolder } from './formats/memory-folder.ts';
import { openCheckpointIn } from './formats/open.ts';
import { createModel } from './model/load.ts';
import { OpenedModel } from './opened-model.ts';
import { tokenizerOf } from './text/o200k-harmony.ts';

export type { AgentEvent, AgentLimits, AgentResult } from './agent/agent.ts';
export type { ContinueEvent, ContinueOptions, ContinueResult } from './agent/continuation.ts';
export { tool } from './agent/function-tool.ts';
export { type Ask, Permissions } from './agent/permission.ts';
export type { SteeredFunction, ToolChoice } from './agent/steering.ts';
export type { Tool, ToolContext, ToolOutput, ToolSource, Toolset } from './agent/tool.ts';
export type { TurnEvent, TurnFinish, TurnOptions, TurnResult } from './agent/turn.ts';
export { Engine } from './engine/engine.ts';
export type { EngineOptions } from './engine/engine-options.ts';
export { type ErrorCode, GptOssError, isGptOssError } from './errors.ts';
export type { Checkpoint } from './formats/checkpoint.ts';
export { memoryFolder } from './formats/memory-folder.ts';
export { type Folder, openCheckpointIn } from './formats/open.ts';
export { createModel, Model } from './model/load.ts';
export { type ChatMessage, type ChatOptions, OpenedModel } from './opened-model.ts';
export type { OutputFormat } from './text/schema/output-format.ts';
export { ReferenceBackend };

export interface BrowserOpenOptions extends Omit<EngineOptions, 'prefixStore'> {
  /** What the model is called when its files do not say. */
  readonly name?: string;
  /** Which of the files is the model, where the names leave a choice. */
  readonly file?: string;
  /** Default exact. */
  readonly precision?: Precision;
  readonly kv?: KvType; // default: f32 for exact, f16 for fast
  /** Bytes of the package's `gptoss/o200k.bin`. Needed for checkpoints that ship no tokenizer of their own. */
  readonly o200k?: Uint8Array;
}

/**
 * Opens a checkpoint from its files by name: those of a Hugging Face folder, or one GGUF.
 *
 *     const files = new Map();
 *     for (const name of ['config.json', 'tokenizer.json', 'model.safetensors'])
 *       files.set(name, new Uint8Array(await (await fetch(`model/${name}`)).arrayBuffer()));
 *     const model = await openFiles(files);
 */
export async function openFiles(
  files: ReadonlyMap<string, Uint8Array>,
  options: BrowserOpenOptions = {},
): Promise<OpenedModel> {
  const start = performance.now();
  const { o200k } = options;
  const checkpoint = openCheckpointIn(memoryFolder(options.name ?? 'model', files), options.file ?? null);
  try {
    const tokenizer = tokenizerOf(checkpoint.tokenizer, checkpoint.config.vocab, o200k);
    const backend = new ReferenceBackend({ precision: options.precision ?? 'exact' });
    const context = options.context ?? Math.min(8192, checkpoint.config.maxContext);
    const kv = options.kv ?? (backend.precision === 'exact' ? 'f32' : 'f16');
    return new OpenedModel({
      checkpoint,
      tokenizer,
      model: createModel(checkpoint, backend),
      engine: { maxSequences: 4, ...options, context, kv },
      loadMs: performance.now() - start,
    });
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}
