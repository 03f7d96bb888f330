// Harmony by construction: which tokens may come next, so that only well-formed messages with existing recipients and
// matching terminators can be sampled. Headers are an automaton over a handful of texts and markers; in content every
// text token is allowed and one terminator (`<|call|>` after a call, `<|return|>` after final, `<|end|>` else).
//   message   `<|start|>` assistant head
//   head      `<|channel|>` channel [ ` to=` recipient [type]] `<|message|>`      the model's own order
//           | ` to=` recipient `<|channel|>` channel [type] `<|message|>`          the order of rendered history
// Both orders stay open: forcing the second costs accuracy. Any way to cut a text into tokens is allowed, so the model
// is not pushed off its habits. A grammar is compiled once and shared; a mask is the state of one sequence.
// Content may be held to more (a schema): a constraint then says which text tokens may come and when the terminator may.
// Whatever else arrives is read by tolerant-parser.ts. This is a constraint for an engine that knows tokens only.

import { GptOssError } from '../../errors.ts';
import type { HarmonyEncoding, Marker } from './encoding.ts';

export interface MaskOptions {
  /** Recipients that exist: `functions.NAME`, `python`, `browser.search`. */
  readonly recipients?: readonly string[];
  /** Whether commentary without a recipient (text shown beside the answer) may be written; default: if there are
   *  recipients. Without tools models lose text there. */
  readonly preambles?: boolean;
  /** Whether the turn must end in a call. */
  readonly mustCall?: boolean;
  /** Whether `final` may declare ` <|constrain|>json`. */
  readonly jsonFinal?: boolean;
}

/** ids: only these. bits: only those whose bit (id & 31) of word (id >> 5) is set. content: any text token and the terminator; `banned` lists all others, in ascending order. done: the
 *  turn is over. free: the sequence left the format by tokens that were not sampled under the mask. */
export type Allowed =
  | { readonly kind: 'ids'; readonly ids: readonly number[] }
  | { readonly kind: 'bits'; readonly bits: Uint32Array }
  | { readonly kind: 'content'; readonly banned: Int32Array }
  | { readonly kind: 'done' }
  | { readonly kind: 'free' };

/** Holds the content of one message to something. Belongs to that message alone. */
export interface ContentConstraint {
  /** Text tokens that may come next, and the terminator where the content may end. */
  allowed(): Extract<Allowed, { kind: 'ids' | 'bits' }>;
  /** Takes a text token; false: it was not allowed, and the constraint cannot go on. */
  push(id: number): boolean;
}

/** What to hold the content of a message to; null: nothing. `terminator` is the id that ends it. */
export type ContentConstraints = (
  message: { readonly kind: 'final' | 'call'; readonly recipient: string | null },
  terminator: number,
) => ContentConstraint | null;

type ContentKind = 'call' | 'final' | 'preamble' | 'analysis';

interface Node {
  readonly id: number;
  readonly texts: { readonly text: string; readonly to: Node }[];
  readonly markers: { readonly marker: Marker; readonly to: Node }[];
  /** Set where content begins. */
  readonly content: ContentKind | null;
}

/** A place in the grammar: `said` of some text of the node has been written. */
interface Place {
  readonly node: Node;
  readonly said: string;
}

const terminatorOf: Readonly<Record<ContentKind, Marker>> = {
  call: 'call',
  final: 'return',
  preamble: 'end',
  analysis: 'end',
};

export class HeaderGrammar {
  readonly encoding: HarmonyEncoding;
  /** After `<|end|>`. */
  readonly between: Node;
  /** After `<|start|>assistant`, where a prompt ends. */
  readonly head: Node;
  /** The same with no more reasoning: the answer, or the call if one must come. */
  readonly lastHead: Node;
  readonly #banned = new Map<Marker | null, Int32Array>();
  readonly #withoutText: readonly number[];
  readonly #allowed = new Map<string, readonly number[]>();
  #nodes = 0;

  /** `rows`: how many ids the model can sample (rows of its output matrix). */
  constructor(encoding: HarmonyEncoding, rows: number, options: MaskOptions = {}) {
    const { recipients = [], mustCall = false, jsonFinal = false } = options;
    for (const recipient of recipients) {
      if (/^[\w.$:/-]{1,256}$/.test(recipient) && !/^(?:assistant|user|all)$/.test(recipient)) continue;
      const found = `the recipient ${JSON.stringify(recipient.slice(0, 80))} cannot stand in a header`;
      throw new GptOssError('invalid-request', `${found}; expected letters, digits and . _ - : / $; rename the tool`);
    }
    if (mustCall && recipients.length === 0) {
      throw new GptOssError(
        'invalid-request',
        'a call is required and there is no tool; expected at least one; offer a tool or do not require a call',
      );
    }
    this.encoding = encoding;
    const hasPreambles = (options.preambles ?? recipients.length > 0) && !mustCall;

    const toCall = this.#node('call');
    const toMessage = this.#node(null, [], [['message', toCall]]);
    const json = this.#node(null, [['json', toMessage]]);
    const constrain = this.#node(null, [], [['constrain', json]]);
    // After a recipient: a type or none. Functions take JSON, python takes code; models write either.
    const types = [' json', ' code'].map((text): [string, Node] => [text, toMessage]);
    const typed = this.#node(null, [[' ', constrain], ...types], [['message', toCall]]);
    const channelOfCall = this.#node(null, [
      ['commentary', typed],
      ['analysis', typed],
    ]);
    const afterRecipient = this.#node(null, [], [['channel', channelOfCall]]);
    const to = (next: Node): [string, Node][] => recipients.map((recipient) => [` to=${recipient}`, next]);

    const finalJson = this.#node(null, [['json', this.#node(null, [], [['message', this.#node('final')]])]]);
    const finalType = this.#node(null, [], [['constrain', finalJson]]);
    const final = this.#node(null, jsonFinal ? [[' ', finalType]] : [], [['message', this.#node('final')]]);
    const analysis = this.#node(null, to(typed), [['message', this.#node('analysis')]]);
    const commentary = this.#node(null, to(typed), hasPreambles ? [['message', this.#node('preamble')]] : []);
    const channels: [string, Node][] = [['analysis', analysis]];
    if (hasPreambles || recipients.length > 0) channels.push(['commentary', commentary]);
    if (!mustCall) channels.push(['final', final]);
    this.head = this.#node(null, to(afterRecipient), [['channel', this.#node(null, channels)]]);

    const lastCommentary = this.#node(null, to(typed));
    const last: [string, Node] = mustCall ? ['commentary', lastCommentary] : ['final', final];
    this.lastHead = this.#node(null, mustCall ? to(afterRecipient) : [], [['channel', this.#node(null, [last])]]);
    this.between = this.#node(null, [], [['start', this.#node(null, [['assistant', this.head]])]]);

    const withoutText: number[] = [];
    for (let id = 0; id < rows; id++) if (encoding.textBytes(id) === null) withoutText.push(id);
    this.#withoutText = withoutText;
  }

  #node(content: ContentKind | null, texts: [string, Node][] = [], markers: [Marker, Node][] = []): Node {
    return {
      id: this.#nodes++,
      content,
      texts: texts.map(([text, to]) => ({ text, to })),
      markers: markers.map(([marker, to]) => ({ marker, to })),
    };
  }

  /** What content may not hold when `terminator` may end it; null: nothing may end it yet. */
  banned(terminator: Marker | null): Int32Array {
    let list = this.#banned.get(terminator);
    if (list === undefined) {
      const kept = terminator === null ? -1 : this.encoding.ids[terminator];
      list = Int32Array.from(this.#withoutText.filter((id) => id !== kept));
      this.#banned.set(terminator, list);
    }
    return list;
  }

  /** Ids that may come next at any of some places. */
  allowed(places: readonly Place[]): readonly number[] {
    if (places.length === 1) return this.#allowedAt(places[0]!);
    return [...new Set(places.flatMap((place) => this.#allowedAt(place)))];
  }

  #allowedAt(place: Place): readonly number[] {
    const key = `${place.node.id}:${place.said}`;
    let ids = this.#allowed.get(key);
    if (ids === undefined) {
      ids = this.#compute(place);
      this.#allowed.set(key, ids);
    }
    return ids;
  }

  /** Every token whose text begins what is left of some text, and the markers where nothing has been said. */
  #compute({ node, said }: Place): number[] {
    const ids = new Set<number>();
    const tried = new Set<string>();
    for (const { text } of node.texts) {
      if (!text.startsWith(said)) continue;
      for (let end = said.length + 1; end <= text.length; end++) {
        const piece = text.slice(said.length, end);
        if (tried.has(piece)) continue;
        tried.add(piece);
        const encoded = this.encoding.tokenizer.encode(piece);
        if (encoded.length === 1) ids.add(encoded[0]!);
      }
    }
    if (said === '') for (const { marker } of node.markers) ids.add(this.encoding.ids[marker]);
    return [...ids].sort((a, b) => a - b);
  }

  /** Places after one more token; none: the token is not allowed. */
  step(places: readonly Place[], id: number): Place[] {
    const next: Place[] = [];
    const marker = this.encoding.marker(id);
    if (marker !== undefined) {
      for (const { node, said } of places) {
        const edge = said === '' ? node.markers.find((candidate) => candidate.marker === marker) : undefined;
        if (edge !== undefined) next.push({ node: edge.to, said: '' });
      }
      return next;
    }
    const bytes = this.encoding.textBytes(id);
    if (bytes === null) return next;
    const piece = String.fromCharCode(...bytes); // header texts are ASCII
    for (const { node, said } of places) {
      const longer = said + piece;
      let goesOn = false;
      for (const { text, to } of node.texts) {
        if (text === longer) next.push({ node: to, said: '' });
        else if (text.startsWith(longer)) goesOn = true;
      }
      if (goesOn) next.push({ node, said: longer });
    }
    return next;
  }
}

export class HarmonyMask {
  readonly #grammar: HeaderGrammar;
  #places: readonly Place[];
  readonly #constraints: ContentConstraints | null;
  #header = ''; // its text so far, markers as spaces
  #content: ContentKind | null = null;
  #constraint: ContentConstraint | null = null; // of the content
  #hasInk = false; // the content has a visible character
  #isDone = false;
  #isFree = false;
  #isSteered = false;

  /** The state after a prompt that ends in `<|start|>assistant`. */
  constructor(grammar: HeaderGrammar, constraints: ContentConstraints | null = null) {
    this.#grammar = grammar;
    this.#constraints = constraints;
    this.#places = [{ node: grammar.head, said: '' }];
  }

  allowed(): Allowed {
    if (this.#isFree) return { kind: 'free' };
    if (this.#isDone) return { kind: 'done' };
    if (this.#content === null) return { kind: 'ids', ids: this.#grammar.allowed(this.#places) };
    if (this.#constraint !== null) return this.#constraint.allowed();
    const terminator = terminatorOf[this.#content];
    const mustClose = this.#isSteered && (this.#content === 'analysis' || this.#content === 'preamble');
    if (mustClose) return { kind: 'ids', ids: [this.#grammar.encoding.ids[terminator]] };
    // Only reasoning may be empty: an empty answer, preamble or call would have nothing to show.
    const mayEnd = this.#hasInk || this.#content === 'analysis';
    return { kind: 'content', banned: this.#grammar.banned(mayEnd ? terminator : null) };
  }

  /** Takes the token that was chosen, or one that was given. One that is not allowed makes the mask free until the next
   *  message begins. */
  push(id: number): void {
    const { encoding } = this.#grammar;
    if (this.#isFree) {
      if (id !== encoding.ids.start) return;
      this.#isFree = false;
      this.#content = null;
      this.#constraint = null;
      this.#header = '';
      this.#places = [{ node: this.#grammar.between, said: '' }];
    }
    if (this.#isDone) return;
    if (this.#content !== null) this.#pushContent(id, this.#content);
    else this.#pushHeader(id);
  }

  /** No more reasoning: what is being written of it closes, and the next message is the answer. */
  steerToAnswer(): void {
    this.#isSteered = true;
    this.#steerPlaces();
  }

  #pushContent(id: number, kind: ContentKind): void {
    const { encoding } = this.#grammar;
    const bytes = encoding.textBytes(id);
    if (bytes !== null) {
      this.#hasInk ||= bytes.some((byte) => byte > 0x20);
      if (this.#constraint !== null && !this.#constraint.push(id)) this.#isFree = true;
      return;
    }
    this.#content = null;
    this.#constraint = null;
    this.#header = '';
    const terminator = terminatorOf[kind];
    if (id !== encoding.ids[terminator]) this.#isFree = true;
    else if (terminator === 'end') this.#places = [{ node: this.#grammar.between, said: '' }];
    else this.#isDone = true;
  }

  #pushHeader(id: number): void {
    const places = this.#grammar.step(this.#places, id);
    if (places.length === 0) {
      this.#isFree = true;
      return;
    }
    const bytes = this.#grammar.encoding.textBytes(id);
    this.#header += bytes === null ? ' ' : String.fromCharCode(...bytes);
    const content = places[0]!.node.content;
    if (content !== null) {
      this.#content = content;
      this.#hasInk = false;
      this.#constraint = this.#constraintOf(content);
      return;
    }
    this.#places = places;
    this.#steerPlaces();
  }

  #constraintOf(content: ContentKind): ContentConstraint | null {
    if (this.#constraints === null || (content !== 'final' && content !== 'call')) return null;
    // The only place of ` to=` in a header is before its recipient, which has no space in it.
    const recipient = content === 'call' ? (/ to=(\S+)/.exec(this.#header)?.[1] ?? null) : null;
    return this.#constraints({ kind: content, recipient }, this.#grammar.encoding.ids[terminatorOf[content]]);
  }

  /** Where a steered mask may begin a header, only the last one may be begun. */
  #steerPlaces(): void {
    if (!this.#isSteered) return;
    this.#places = this.#places.map((place) =>
      place.node === this.#grammar.head && place.said === '' ? { node: this.#grammar.lastHead, said: '' } : place,
    );
  }
}
