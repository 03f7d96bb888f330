// What is written down about every call of a tool. Types only; audit-file.node.ts writes lines of JSON.

import type { Decision } from './permission.ts';
import type { Effect } from './tool.ts';

export interface AuditEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly call: string;
  /** Recipient as the model wrote it, at most 200 characters. */
  readonly tool: string;
  /** At most 2000 characters. */
  readonly input: string;
  readonly effects: readonly Effect[];
  /** contained: the tool does nothing outside its walls. refused: there is no such tool, or a limit was reached. */
  readonly decision: Decision | 'contained' | 'refused';
  readonly outcome: 'ok' | 'error' | 'timeout' | 'aborted' | 'not-run';
  readonly ms: number;
  readonly outputCharacters: number;
}

export type Audit = (entry: AuditEntry) => void;
