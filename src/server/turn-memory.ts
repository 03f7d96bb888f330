// Owns: what the model really generated, found again when a client sends its conversation back as text. A turn with calls
// is found by the id of its call, which nobody can guess; then the reasoning comes back, too, which most clients leave out
// and the model needs until its tools have answered. Any other turn is found by its text, and only what the client says
// itself is exchanged for the ids it was generated with, so that the prompt is the very prefix the cache holds.
// Refuses: to remember without bound; the oldest go first. Next: dialogue.ts, which asks.

import type { Message } from '../text/harmony/messages.ts';

export interface TurnCall {
  readonly id: string;
  readonly name: string; // the client's
  readonly arguments: string;
}

/** A turn as a client sees it. */
export interface VisibleTurn {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly TurnCall[];
}

interface Entry {
  readonly turn: VisibleTurn;
  readonly history: readonly Message[];
  readonly keys: readonly string[];
  readonly size: number;
}

const MAX_TOKENS = 1_000_000; // 8 bytes each
const MAX_TURNS = 20_000;

export class TurnMemory {
  readonly #entries = new Map<string, Entry>(); // in order of last use
  #tokens = 0;

  /** `owner`: whose turn it is; nobody else finds it. */
  remember(owner: string, turn: VisibleTurn, history: readonly Message[]): void {
    const size = history.reduce((sum, message) => sum + (message.ids?.length ?? 0), 0);
    if (size === 0 || history.every((message) => message.channel === 'analysis')) return;
    const keys = [saidKey(owner, turn), ...turn.calls.map((call) => idKey(owner, call.id))];
    const entry = { turn, history, keys, size };
    for (const key of keys) {
      this.#forget(this.#entries.get(key), key);
      this.#entries.set(key, entry);
    }
    this.#tokens += size;
    while (this.#tokens > MAX_TOKENS || this.#entries.size > MAX_TURNS) {
      const [key, oldest] = this.#entries.entries().next().value!;
      this.#forget(oldest, key);
    }
  }

  /** The messages that were generated for this turn; null when it is not known, or not the same. */
  recall(owner: string, said: VisibleTurn): readonly Message[] | null {
    const byId = said.calls.length === 1 ? this.#find(idKey(owner, said.calls[0]!.id)) : undefined;
    if (
      byId !== undefined &&
      isSame(byId.turn, said) &&
      (said.reasoning === '' || said.reasoning === byId.turn.reasoning)
    )
      return byId.history;
    const bySaying = this.#find(saidKey(owner, said));
    if (bySaying === undefined || !isSame(bySaying.turn, said)) return null;
    if (said.reasoning === bySaying.turn.reasoning) return bySaying.history;
    const spoken = bySaying.history.filter((message) => message.channel !== 'analysis');
    const thought: Message[] =
      said.reasoning === '' ? [] : [{ role: 'assistant', channel: 'analysis', content: said.reasoning }];
    return [...thought, ...spoken];
  }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  /** An entry is gone when the last of its keys is. */
  #forget(entry: Entry | undefined, key: string): void {
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (entry.keys.every((other) => this.#entries.get(other) !== entry)) this.#tokens -= entry.size;
  }
}

const idKey = (owner: string, id: string): string => `${owner}\n#${id}`;

function saidKey(owner: string, { text, calls }: VisibleTurn): string {
  return `${owner}\n=${text}\n${calls.map((call) => `${call.name}(${sameJson(call.arguments)})`).join('\n')}`;
}

function isSame(turn: VisibleTurn, said: VisibleTurn): boolean {
  if (turn.text !== said.text || turn.calls.length !== said.calls.length) return false;
  return turn.calls.every((call, i) => {
    const other = said.calls[i]!;
    return call.name === other.name && sameJson(call.arguments) === sameJson(other.arguments);
  });
}

/** The same for arguments that differ only in white space: some clients parse and write them anew. */
function sameJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}
