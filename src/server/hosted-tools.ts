// What the server needs of tools that it runs itself (`serve --tools`): a fresh set for each conversation, who allows what,
// where calls are written down, and the documents that citations lead to. Types only; the command line brings them.
// Next: tool-sessions.ts, generation.ts.

import type { Audit } from '../agent/audit.ts';
import type { Permissions } from '../agent/permission.ts';
import type { Toolset } from '../agent/tool.ts';

/** What people read behind a citation of a page that no browser can open. */
export interface CitedDocument {
  readonly title: string;
  readonly url: string;
  /** As the model read it: `L0` is the first. */
  readonly lines: readonly string[];
}

export interface HostedTools {
  /** As in `--tools`. */
  readonly names: readonly string[];
  readonly permissions: Permissions;
  readonly audit: Audit;
  /** Only those of these names, in this order; closed when the conversation is over. `tokensOf`: by the model's tokenizer. */
  open(names: readonly string[], tokensOf?: (text: string) => number): Toolset[];
  /** A document on this machine that a citation names, for whoever may ask the server; null: there is none. */
  document?(url: string): Promise<CitedDocument | null>;
}
