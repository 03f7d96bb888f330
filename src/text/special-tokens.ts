// Special tokens: names to ids and back, and finding them in template text (the longest name that begins at a place
// wins, as in other tokenizers). Which names exist is the checkpoint's to say. Next: tokenizer.ts.

import { GptOssError } from '../errors.ts';
import { mostTokens } from './vocabulary.ts';

export class SpecialTokens {
  readonly ids: ReadonlyMap<string, number>;
  readonly #names = new Map<number, string>();
  readonly #lengths = new Map<number, number[]>(); // first char code -> lengths of names, longest first

  constructor(ids: ReadonlyMap<string, number>) {
    this.ids = ids;
    const lengths = new Map<number, Set<number>>();
    for (const [name, id] of ids) {
      if (name === '' || !Number.isInteger(id) || id < 0 || id >= mostTokens) {
        const found = `special token ${JSON.stringify(name.slice(0, 40))} has id ${id}`;
        throw new GptOssError(
          'bad-tokenizer',
          `${found}; expected a name and an id below ${mostTokens}; check the tokenizer file`,
        );
      }
      if (!this.#names.has(id)) this.#names.set(id, name);
      const first = name.charCodeAt(0);
      lengths.set(first, (lengths.get(first) ?? new Set()).add(name.length));
    }
    for (const [first, set] of lengths)
      this.#lengths.set(
        first,
        [...set].sort((a, b) => b - a),
      );
  }

  name(id: number): string | undefined {
    return this.#names.get(id);
  }

  /** One past the highest id; 0 when there are none. */
  get bound(): number {
    let bound = 0;
    for (const id of this.#names.keys()) bound = Math.max(bound, id + 1);
    return bound;
  }

  /** Cuts text at special names: reports the text between them (never empty) and the ids, in order. */
  split(text: string, onText: (text: string) => void, onSpecial: (id: number) => void): void {
    let from = 0;
    for (let i = 0; i < text.length; i++) {
      const lengths = this.#lengths.get(text.charCodeAt(i));
      if (lengths === undefined) continue;
      for (const length of lengths) {
        const id = this.ids.get(text.slice(i, i + length));
        if (id === undefined) continue;
        if (i > from) onText(text.slice(from, i));
        onSpecial(id);
        from = i + length;
        i = from - 1;
        break;
      }
    }
    if (from < text.length) onText(text.slice(from));
  }
}
