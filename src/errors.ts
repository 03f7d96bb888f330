// The one error class of the project. A message says what happened; what was expected; what to do.
// Expected endings (stop token, length, tool call) are values, never errors.

/** Stable machine-readable reasons. `server/` maps them to HTTP statuses, `cli/` to exit codes. */
export type ErrorCode =
  | 'not-found' // path, model name or store entry does not exist
  | 'bad-checkpoint' // file is not a usable gpt-oss checkpoint (truncated, wrong magic, wrong shapes, hostile)
  | 'bad-tokenizer' // vocabulary cannot be used or does not fit the checkpoint
  | 'unsupported-type' // a tensor type this build cannot read
  | 'unsupported-device' // backend, ISA or device that this machine lacks
  | 'device-lost'
  | 'out-of-memory'
  | 'context-overflow' // more tokens than the context holds
  | 'invalid-request' // caller's input is wrong (ids out of vocabulary, bad parameter, bad conversation)
  | 'overloaded' // queue or page pool is full; try again
  | 'tool-failed'
  | 'diverged' // training: a loss or gradient is no finite number
  | 'io' // reading or writing failed
  | 'aborted'
  | 'internal'; // a broken promise of ours

export class GptOssError extends Error {
  readonly code: ErrorCode;
  /** Extra facts for logs and wire formats (never needed to understand the message). */
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GptOssError';
    this.code = code;
    this.details = options.details;
  }
}

export function isGptOssError(error: unknown, code?: ErrorCode): error is GptOssError {
  return error instanceof GptOssError && (code === undefined || error.code === code);
}
