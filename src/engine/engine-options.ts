// What an engine is asked for and what that comes to: rows of its two lanes, pages of its cache. Every number is checked
// here, before anything is allocated. Next: engine.ts.

import type { KvType } from '../backend/backend.ts';
import { GptOssError } from '../errors.ts';
import type { PrefixStore } from './prefix-store.ts';
import type { StepModel } from './step-model.ts';

export interface EngineOptions {
  /** Most tokens of one sequence, prompt and generated. Default: 4,096 or what the model allows. */
  readonly context?: number;
  /** Sequences that run at once. Default 8. */
  readonly maxSequences?: number;
  /** Tokens whose keys and values are held for all sequences together, running and remembered. At least `context`.
   *  Default: `context`, or twice that when several sequences may run. */
  readonly cacheTokens?: number;
  readonly kv?: KvType; // default f16
  readonly pageTokens?: number; // default 64
  /** Prompt rows of one step. Default 512. */
  readonly chunkRows?: number;
  /** Prompt rows that ride along with decodes instead of making a step of their own. Default 16. */
  readonly mixRows?: number;
  /** Share of the time that prompts get while others decode, 0 … 1. Default 0.6. */
  readonly promptShare?: number;
  readonly maxQueue?: number; // default 256
  /** Runs guessed tokens along with decodes where that is measured to pay (speculation.ts). Default true. */
  readonly speculation?: boolean;
  /** Where prefixes outlive the engine. */
  readonly prefixStore?: PrefixStore;
  /** Ids that end a generation unless it names its own. */
  readonly stopIds?: readonly number[];
  /** Milliseconds from any start, for timings and shares. */
  readonly now?: () => number;
}

const MAX_SCORED_BYTES = 32 * 2 ** 20; // logits of one prompt step
const DRAFT_ROWS = 15; // guessed rows of one step

export interface EngineSizes {
  readonly context: number;
  readonly maxSequences: number;
  readonly chunkRows: number; // of a prompt step
  readonly chunkScored: number; // of those, rows whose logits may be wanted
  readonly mixRows: number; // of prompts beside decodes
  readonly draftRows: number; // of guesses beside decodes; never together with prompts
  readonly promptShare: number;
  readonly pages: { readonly pageTokens: number; readonly fullPages: number; readonly slidingPages: number };
}

export function engineSizes(model: StepModel, options: EngineOptions): EngineSizes {
  const context = positive('context', options.context ?? Math.min(4096, model.maxContext), model.maxContext);
  const maxSequences = positive('maxSequences', options.maxSequences ?? 8, model.maxRows);
  const pageTokens = positive('pageTokens', options.pageTokens ?? 64);
  const chunkRows = Math.min(positive('chunkRows', options.chunkRows ?? 512), model.maxRows, context);
  const mixRows = Math.max(0, Math.min(options.mixRows ?? 16, model.maxRows - maxSequences));
  const chunkScored = Math.max(1, Math.min(chunkRows, Math.floor(MAX_SCORED_BYTES / (model.vocab * 4))));
  const promptShare = options.promptShare ?? 0.6;
  if (!(promptShare > 0 && promptShare < 1)) {
    throw new GptOssError('invalid-request', `promptShare is ${promptShare}; expected between 0 and 1; change it`);
  }
  const draftRows = options.speculation === false ? 0 : Math.max(0, Math.min(DRAFT_ROWS, model.maxRows - maxSequences));
  const cacheTokens = Math.max(context, options.cacheTokens ?? context * (maxSequences > 1 ? 2 : 1));
  // One page more for each sequence: an end that is only partly filled, or the copy of one.
  const fullPages = Math.ceil(cacheTokens / pageTokens) + maxSequences + 1;
  const windowPages = Math.ceil((model.slidingWindow - 1) / pageTokens) + 1;
  // Places where a later turn may branch off: what full pages remember is of use only where sliding ones are left.
  const borders = 8 + 2 * maxSequences + Math.ceil(cacheTokens / 1024);
  const slidingPages = (maxSequences + borders) * windowPages + Math.ceil(chunkRows / pageTokens) + 1;
  const pages = { pageTokens, fullPages, slidingPages };
  return { context, maxSequences, chunkRows, chunkScored, mixRows, draftRows, promptShare, pages };
}

function positive(name: string, value: number, max = 2 ** 31): number {
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new GptOssError('invalid-request', `${name} is ${value}; expected an integer from 1 to ${max}; change it`);
}
