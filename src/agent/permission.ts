// Owns: whether a call may do what it would do outside its walls. Nothing that leaves the machine or writes is allowed
// unless a list says so or somebody who is asked does; what was allowed for the session is not asked again.
// Refuses: to decide for tools that do nothing outside; they are never brought here. Next: agent.ts.

import type { Effect, Need } from './tool.ts';

export interface PermissionRequest extends Need {
  /** Recipient of the call. */
  readonly tool: string;
  readonly scope: string;
}

/** session: this and everything of the same tool and scope from now on. */
export type PermissionAnswer = 'once' | 'session' | 'no';

export type Ask = (request: PermissionRequest, signal: AbortSignal) => Promise<PermissionAnswer>;

/** By tool (`browser`, `browser.open`, `apply_patch`): everything, or the scopes that fit one of these; `*` stands for
 *  any text. */
export type AllowList = Readonly<Record<string, true | readonly string[]>>;

export type Decision = 'listed' | 'remembered' | 'allowed' | 'denied';

export class Permissions {
  readonly #allow: AllowList;
  readonly #ask: Ask | null;
  readonly #remembered = new Set<string>();

  constructor(options: { readonly allow?: AllowList; readonly ask?: Ask | null } = {}) {
    this.#allow = options.allow ?? {};
    this.#ask = options.ask ?? null;
  }

  async decide(recipient: string, need: Need, signal: AbortSignal): Promise<Decision> {
    const tool = recipient.replace(/^functions\./, '');
    const request = { ...need, tool, scope: need.scope ?? '' };
    if (this.#isListed(tool, request.scope)) return 'listed';
    const key = JSON.stringify([tool.split('.', 1)[0], request.scope, [...need.effects].sort()]);
    if (this.#remembered.has(key)) return 'remembered';
    if (this.#ask === null) return 'denied';
    const answer = await this.#ask(request, signal);
    if (answer === 'session') this.#remembered.add(key);
    return answer === 'no' || signal.aborted ? 'denied' : 'allowed';
  }

  /** Forgets what was allowed for the session. */
  forget(): void {
    this.#remembered.clear();
  }

  #isListed(tool: string, scope: string): boolean {
    for (const name of [tool, tool.split('.', 1)[0]!]) {
      const listed = Object.hasOwn(this.#allow, name) ? this.#allow[name]! : [];
      if (listed === true || listed.some((pattern) => fits(pattern, scope))) return true;
    }
    return false;
  }
}

/** Everything is allowed: for tests and for people who said `--yes`. */
export const allowAll: Ask = async () => 'once';

export function deniedText(effects: readonly Effect[], summary: string): string {
  const what = effects.map((effect) => (effect === 'network' ? 'access to the network' : 'writing')).join(' and ');
  return `not allowed: ${what} (${summary}). Do without it, or say what you would need.`;
}

function fits(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return pattern === text;
  let at = parts[0]!.length;
  const last = parts.at(-1)!;
  if (!text.startsWith(parts[0]!) || !text.endsWith(last) || text.length < at + last.length) return false;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > text.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}
