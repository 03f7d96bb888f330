// What the server needs of tools that it runs itself (`serve --tools`): a fresh set for each answer, who allows what, and
// where calls are written down. Types only; the command line brings them. Next: generation.ts.

import type { Audit } from '../agent/audit.ts';
import type { Permissions } from '../agent/permission.ts';
import type { Toolset } from '../agent/tool.ts';

export interface HostedTools {
  /** As in `--tools`. */
  readonly names: readonly string[];
  readonly permissions: Permissions;
  readonly audit: Audit;
  /** Only those of these names; closed when the answer is over. */
  open(names: readonly string[]): Toolset[];
}
