// A tokenizer seen as harmony needs it: ordinary text to ids, special ids by name, bytes by id. Ids are never written
// down here: o200k_harmony, the tiny model and any other vocabulary bring their own, and one that lacks a marker cannot
// carry the format at all and is refused. Text given to `encode` must stay text even when it spells a marker.
// Next: messages.ts (what is said), render.ts (how it is written), parse.ts (how it is read).

import { GptOssError } from '../../errors.ts';

/** What harmony asks of a tokenizer; `text/tokenizer.ts` provides it. */
export interface HarmonyTokenizer {
  /** Ids of ordinary text. Marker text inside it is split like any other text. */
  encode(text: string): ArrayLike<number>;
  /** Id of a special token by its text, e.g. `<|start|>`. */
  special(name: string): number | undefined;
  /** Bytes of a text token; null for special tokens and for ids that the vocabulary does not have. */
  tokenBytes(id: number): Uint8Array | null;
  /** Text of a special token; without it, markers and `<|reserved_ID|>` are still recognised. */
  specialName?(id: number): string | undefined;
}

export type Marker = 'start' | 'message' | 'channel' | 'constrain' | 'end' | 'return' | 'call';

export const markerText: Readonly<Record<Marker, string>> = {
  start: '<|start|>',
  message: '<|message|>',
  channel: '<|channel|>',
  constrain: '<|constrain|>',
  end: '<|end|>',
  return: '<|return|>',
  call: '<|call|>',
};

export class HarmonyEncoding {
  readonly tokenizer: HarmonyTokenizer;
  /** Id of each marker. */
  readonly ids: Readonly<Record<Marker, number>>;
  /** `<|endoftext|>`, where the vocabulary has it. */
  readonly endOfText: number | undefined;
  readonly #markers: ReadonlyMap<number, Marker>;

  constructor(tokenizer: HarmonyTokenizer) {
    this.tokenizer = tokenizer;
    const names = Object.keys(markerText) as Marker[];
    const missing = names.filter((name) => tokenizer.special(markerText[name]) === undefined);
    if (missing.length > 0) {
      throw new GptOssError(
        'bad-tokenizer',
        `the vocabulary has no ${missing.map((name) => markerText[name]).join(', ')}; expected the special tokens of the ` +
          'harmony format; use the tokenizer that belongs to a gpt-oss checkpoint',
      );
    }
    this.ids = Object.fromEntries(names.map((name) => [name, tokenizer.special(markerText[name])])) as Record<
      Marker,
      number
    >;
    this.#markers = new Map(names.map((name) => [this.ids[name], name]));
    if (this.#markers.size !== names.length) {
      throw new GptOssError(
        'bad-tokenizer',
        'two harmony markers share one id; expected seven different special tokens; use the original tokenizer files',
      );
    }
    this.endOfText = tokenizer.special('<|endoftext|>');
  }

  /** Which marker an id is, if any. */
  marker(id: number): Marker | undefined {
    return this.#markers.get(id);
  }

  /** Bytes of a text token; null for markers, other specials and ids outside the vocabulary. */
  textBytes(id: number): Uint8Array | null {
    if (!Number.isInteger(id) || this.#markers.has(id) || id === this.endOfText) return null;
    return this.tokenizer.tokenBytes(id);
  }

  /** Text of any special token, `undefined` for text tokens and ids outside the vocabulary. */
  specialName(id: number): string | undefined {
    const marker = this.#markers.get(id);
    if (marker !== undefined) return markerText[marker];
    if (id === this.endOfText) return '<|endoftext|>';
    const named = this.tokenizer.specialName?.(id);
    if (named !== undefined) return named;
    const reserved = `<|reserved_${id}|>`;
    return this.tokenizer.special(reserved) === id ? reserved : undefined;
  }

  /** Ids that end sampling: `<|return|>`, `<|call|>` and `<|endoftext|>`. Never `<|end|>`, which only ends a message. */
  stopIds(): number[] {
    const ids = [this.ids.return, this.ids.call];
    if (this.endOfText !== undefined) ids.push(this.endOfText);
    return ids;
  }
}
