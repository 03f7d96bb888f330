// Every activation of a forward pass by name and shape. One set serves all layers: a program overwrites it layer by
// layer. Two programs that may be under way at once (a paused prefill and a decode) each need their own.
// Next: model.ts, which says what each one holds when.

import type { Backend, Buffer } from '../backend/backend.ts';
import type { ModelConfig } from '../formats/config.ts';

export interface Workspace {
  readonly residual: Buffer; // [rows, hidden]
  readonly normed: Buffer; // [rows, hidden]
  readonly q: Buffer; // [rows, heads * headDim]
  readonly k: Buffer; // [rows, kvHeads * headDim]
  readonly v: Buffer; // [rows, kvHeads * headDim]
  readonly attended: Buffer; // [rows, heads * headDim]
  readonly routerLogits: Buffer; // [rows, experts]
  readonly expertIds: Buffer; // [rows, expertsPerToken], i32
  readonly gates: Buffer; // [rows, expertsPerToken]
  readonly expertHidden: Buffer; // [rows, expertsPerToken * intermediate]
  readonly last: Buffer; // [scored, hidden]
  readonly lastNormed: Buffer; // [scored, hidden]
  readonly logits: Buffer; // [scored, vocab]
}

export interface WorkspaceSize {
  readonly rows?: number; // most rows of a step; default: as many as the backend takes
  readonly scored?: number; // most rows whose logits are wanted; default: rows
}

export function createWorkspace(backend: Backend, config: ModelConfig, size: WorkspaceSize = {}): Workspace {
  const rows = Math.min(size.rows ?? backend.maxRows, backend.maxRows);
  const scored = Math.min(size.scored ?? rows, rows);
  const floats = (name: string, width: number): Buffer => backend.buffer({ name, width, maxRows: rows });
  const scoredFloats = (name: string, width: number): Buffer =>
    backend.buffer({ name, width, rows: 'scored', maxRows: scored });
  const { hidden, heads, kvHeads, headDim, experts, expertsPerToken, intermediate, vocab } = config;
  return {
    residual: floats('residual', hidden),
    normed: floats('normed', hidden),
    q: floats('q', heads * headDim),
    k: floats('k', kvHeads * headDim),
    v: floats('v', kvHeads * headDim),
    attended: floats('attended', heads * headDim),
    routerLogits: floats('routerLogits', experts),
    expertIds: backend.buffer({ name: 'expertIds', width: expertsPerToken, type: 'i32', maxRows: rows }),
    gates: floats('gates', expertsPerToken),
    expertHidden: floats('expertHidden', expertsPerToken * intermediate),
    last: scoredFloats('last', hidden),
    lastNormed: scoredFloats('lastNormed', hidden),
    logits: scoredFloats('logits', vocab),
  };
}
