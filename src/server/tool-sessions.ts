// Owns: the tools of conversations that come back: variables of Python, pages of the browser, files to fetch. A
// conversation is found by what a request names: the response it goes on from, the container of an earlier call, or a key
// of the client's own. Only its owner finds it. What no call was made in is not kept at all.
// Refuses: to keep without bound. Idle conversations end after a while, the longest idle one when there are too many, and
// two answers at once do not share one: the second gets tools of its own. Next: generation.ts, containers.ts.

import { type Tool, Toolbox, type ToolFile, type Toolset } from '../agent/tool.ts';
import type { HostedTools } from './hosted-tools.ts';
import { newId } from './ids.ts';

export interface ToolSessionOptions {
  /** After an answer; default 20 minutes. */
  readonly idleMs?: number;
  /** Conversations that are kept; default 8, since each may hold an interpreter. */
  readonly most?: number;
}

/** Which conversation an answer's tools belong to. */
export interface ToolSessionNames {
  /** Responses, containers or keys it may be known by, the best first; the first that is known counts. */
  readonly after: readonly string[];
  /** What it will be known by from now on. Empty: it is over with the answer. */
  readonly as: readonly string[];
}

/** A file that a tool made, until its conversation ends. */
export interface KeptFile extends ToolFile {
  readonly id: string;
  readonly containerId: string;
  readonly createdAt: number; // seconds
}

/** The tools of one answer. */
export interface ToolLease {
  readonly containerId: string;
  readonly toolbox: Toolbox;
  keep(files: readonly ToolFile[]): KeptFile[];
  /** The answer is over. */
  release(): Promise<void>;
}

interface Session {
  readonly containerId: string;
  readonly owner: string;
  readonly names: Set<string>;
  readonly sets: Map<string, Toolset>;
  readonly files: Map<string, KeptFile>;
  fileBytes: number;
  isBusy: boolean;
  isUsed: boolean; // a tool ran in it
  isOver: boolean; // to be closed as soon as its answer lets it go
  timer: ReturnType<typeof setTimeout> | null;
}

const IDLE_MS = 20 * 60_000;
const MOST_SESSIONS = 8;
const MOST_NAMES = 1000; // of one session, the oldest go first
const MOST_FILE_BYTES = 64 * 2 ** 20; // of one session

export class ToolSessions {
  readonly #hosted: HostedTools;
  readonly #tokensOf: (text: string) => number;
  readonly #idleMs: number;
  readonly #most: number;
  readonly #sessions = new Set<Session>(); // longest idle first
  readonly #byName = new Map<string, Session>();

  constructor(hosted: HostedTools, tokensOf: (text: string) => number, options: ToolSessionOptions = {}) {
    this.#hosted = hosted;
    this.#tokensOf = tokensOf;
    this.#idleMs = options.idleMs ?? IDLE_MS;
    this.#most = options.most ?? MOST_SESSIONS;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Tools of these names for an answer; release them when it is over, whatever became of it. */
  lease(owner: string, tools: readonly string[], { after, as }: ToolSessionNames): ToolLease {
    const known = after.map((name) => this.#find(owner, name)).find((session) => session !== undefined);
    const session = known !== undefined && !known.isBusy ? known : this.#begin(owner);
    session.isBusy = true;
    this.#rest(session, false);
    const missing = tools.filter((name) => !session.sets.has(name));
    if (missing.length > 0) {
      for (const [i, set] of this.#hosted.open(missing, this.#tokensOf).entries()) session.sets.set(missing[i]!, set);
    }
    return {
      containerId: session.containerId,
      toolbox: new Toolbox(tools.flatMap((name) => watched(session, session.sets.get(name)))),
      keep: (files) => keepFiles(session, files),
      release: async () => {
        session.isBusy = false;
        if (session.isOver || !session.isUsed || as.length === 0) return this.#end(session);
        this.#sessions.add(session);
        for (const name of [session.containerId, ...as]) this.#name(session, name);
        this.#rest(session, true);
        await this.#bound();
      },
    };
  }

  files(owner: string, containerId: string): readonly KeptFile[] | null {
    const session = this.#find(owner, containerId);
    return session === undefined ? null : [...session.files.values()];
  }

  /** Ends a conversation by any of its names; false: it is not here. */
  async end(owner: string, name: string): Promise<boolean> {
    const session = this.#find(owner, name);
    if (session === undefined) return false;
    await this.#end(session);
    return true;
  }

  /** A name is given up; a conversation that no other name leads to ends. */
  async forget(owner: string, name: string): Promise<void> {
    const session = this.#find(owner, name);
    if (session === undefined) return;
    const full = nameOf(owner, name);
    session.names.delete(full);
    this.#byName.delete(full);
    const rest = [...session.names].filter((each) => each !== nameOf(owner, session.containerId));
    if (rest.length === 0) await this.#end(session);
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => this.#end(session)));
  }

  #begin(owner: string): Session {
    return {
      ...{ containerId: newId('cntr'), owner, names: new Set(), sets: new Map(), files: new Map(), fileBytes: 0 },
      ...{ isBusy: false, isUsed: false, isOver: false, timer: null },
    };
  }

  #find(owner: string, name: string): Session | undefined {
    return this.#byName.get(nameOf(owner, name));
  }

  #name(session: Session, name: string): void {
    const full = nameOf(session.owner, name);
    // A key that named another conversation (its tools were busy) names this one now.
    this.#byName.get(full)?.names.delete(full);
    this.#byName.set(full, session);
    session.names.delete(full);
    session.names.add(full);
    while (session.names.size > MOST_NAMES) {
      const oldest = session.names.values().next().value!;
      session.names.delete(oldest);
      this.#byName.delete(oldest);
    }
  }

  /** Starts or stops the clock after which it ends. */
  #rest(session: Session, isIdle: boolean): void {
    if (session.timer !== null) clearTimeout(session.timer);
    session.timer = null;
    if (!isIdle) return;
    this.#sessions.delete(session);
    this.#sessions.add(session);
    const timer = setTimeout(() => void this.#end(session), this.#idleMs);
    (timer as { unref?(): void }).unref?.();
    session.timer = timer;
  }

  async #bound(): Promise<void> {
    const idle = [...this.#sessions].filter(({ isBusy }) => !isBusy);
    const excess = idle.slice(0, Math.max(0, this.#sessions.size - this.#most));
    await Promise.all(excess.map((session) => this.#end(session)));
  }

  async #end(session: Session): Promise<void> {
    this.#rest(session, false);
    for (const name of session.names) this.#byName.delete(name);
    session.names.clear();
    this.#sessions.delete(session);
    session.files.clear();
    if (session.isBusy) {
      session.isOver = true; // its answer runs to its end
      return;
    }
    const sets = [...session.sets.values()];
    session.sets.clear();
    await Promise.all(sets.map((set) => set.close?.()));
  }
}

const nameOf = (owner: string, name: string): string => `${owner}\n${name}`;

/** The set with tools that tell the session when they run. */
function watched(session: Session, set: Toolset | undefined): Toolset[] {
  if (set === undefined) return [];
  const tools = set.tools.map(
    (tool): Tool => ({
      ...tool,
      run: (input, context) => {
        session.isUsed = true;
        return tool.run(input, context);
      },
    }),
  );
  return [{ name: set.name, tools, ...(set.cite === undefined ? {} : { cite: set.cite }) }];
}

function keepFiles(session: Session, files: readonly ToolFile[]): KeptFile[] {
  const createdAt = Math.floor(Date.now() / 1000);
  return files.map((file) => {
    const kept = { ...file, id: newId('cfile'), containerId: session.containerId, createdAt };
    session.files.set(kept.id, kept);
    session.fileBytes += file.bytes.length;
    for (const [id, oldest] of session.files) {
      if (session.fileBytes <= MOST_FILE_BYTES) break;
      session.files.delete(id);
      session.fileBytes -= oldest.bytes.length;
    }
    return kept;
  });
}
