// What the keywords of objects come to: declared properties with all that is said about each, and the other keys that are
// allowed, by the patterns they match, each kind with its own values. Refuses counts of properties that do not hold anyway.
// How silence is read: schema-compiler.ts. How objects are written: object-machine.ts.

import type { Alternative } from './alternatives.ts';
import { type CharAutomaton, DfaTexts, OtherTexts } from './char-automata.ts';
import { type CharDfa, charDfa, complementDfa, intersect } from './char-dfa.ts';
import { choice, text } from './expression.ts';
import { listedValues, typesOf } from './merge.ts';
import type { ObjectProperty, ObjectShape, OtherProperties } from './object-machine.ts';
import { UNLIMITED } from './pattern.ts';
import { mostProperties, refused, type SchemaDocument, type SchemaNode, type Subschema } from './schema-node.ts';
import type { StringRules } from './strings.ts';
import type { ValueChecker } from './values.ts';
import type { WorkLimit } from './work-limit.ts';

const stretch = 500; // properties between two yields
const mostPatterns = 5; // each doubles the kinds of keys

export interface ObjectContext {
  readonly document: SchemaDocument;
  readonly strings: StringRules;
  readonly values: ValueChecker;
  readonly work: WorkLimit;
  /** See SchemaOptions. */
  readonly isOpen: boolean;
  readonly ruleOf: (schemas: readonly Subschema[]) => number;
  readonly keyRule: (texts: readonly CharAutomaton[]) => number;
  readonly alternatives: (schemas: readonly Subschema[]) => Generator<void, Alternative[]>;
}

/** Keys that `propertyNames` allows. `texts` null: no keys beyond those that are listed; empty: any. */
interface Names {
  readonly listed: readonly string[];
  readonly texts: readonly CharDfa[] | null;
}

export class ObjectRules {
  readonly #context: ObjectContext;

  constructor(context: ObjectContext) {
    this.#context = context;
  }

  *shape(nodes: Alternative): Generator<void, ObjectShape> {
    const { values, work, strings, ruleOf, isOpen } = this.#context;
    const names = new Set<string>();
    const required = new Set<string>();
    for (const { schema } of nodes) {
      for (const name of Object.keys(schema.properties ?? {})) names.add(name);
      for (const name of (schema.required ?? []) as string[]) required.add(name);
    }
    const patterns = new Set(nodes.flatMap(({ schema }) => Object.keys(schema.patternProperties ?? {})));
    const isDeclared = names.size + patterns.size > 0;
    for (const name of required) names.add(name);
    const allowed = yield* this.#names(nodes);
    for (const name of allowed.listed) names.add(name);
    if (names.size > mostProperties) {
      throw refused(nodes[0].path, 'properties', `has more than ${mostProperties} entries`);
    }
    work.spend(names.size * nodes.length);
    for (const { path, schema } of names.size === 0 ? [] : nodes) {
      for (const pattern of Object.keys(schema.patternProperties ?? {})) {
        yield* strings.pattern(path, 'patternProperties', pattern);
      }
    }
    const properties: ObjectProperty[] = [];
    for (const key of names) {
      if (properties.length % stretch === stretch - 1) yield;
      const isAllowed = nodes.every((node) => values.acceptsName(node, key));
      const schemas = isAllowed ? nodes.flatMap((node) => values.property(node, key)) : (['never'] as const);
      properties.push({ key, rule: ruleOf(schemas), isRequired: required.has(key) });
    }
    const isSilent = nodes.every(({ schema }) => schema.additionalProperties === undefined);
    const isClosed = isSilent && isDeclared && !isOpen;
    const others = yield* this.#others(nodes, [...names], [...patterns], allowed.texts, isClosed);
    this.#checkCounts(nodes, required.size, others.length === 0 ? names.size : UNLIMITED);
    return { properties, others };
  }

  *#names(nodes: Alternative): Generator<void, Names> {
    const { document, strings, alternatives } = this.#context;
    const schemas = nodes
      .filter(({ schema }) => schema.propertyNames !== undefined)
      .map((node) => document.child(node, 'propertyNames'));
    if (schemas.length === 0) return { listed: [], texts: [] };
    const listed: string[] = [];
    const texts: CharDfa[] = [];
    let hasTexts = false;
    for (const alternative of yield* alternatives(schemas)) {
      const values = listedValues(alternative);
      if (values !== null) for (const value of values) if (typeof value === 'string') listed.push(value);
      if (values !== null || !typesOf(alternative, false).types.has('string')) continue;
      hasTexts = true;
      const keywords = ['pattern', 'format', 'minLength', 'maxLength'];
      if (!keywords.some((keyword) => alternative.some(({ schema }) => schema[keyword] !== undefined))) {
        return { listed, texts: [] };
      }
      const dfa = yield* strings.dfa(alternative);
      if (dfa !== null) texts.push(dfa);
    }
    return { listed, texts: hasTexts && texts.length > 0 ? texts : null };
  }

  /** Keys that are not declared, by which of the patterns they match. */
  *#others(
    nodes: Alternative,
    names: readonly string[],
    patterns: readonly string[],
    texts: Names['texts'],
    isClosed: boolean,
  ): Generator<void, OtherProperties[]> {
    if (texts === null) return [];
    const { strings, ruleOf, keyRule } = this.#context;
    const owner = nodes.find(({ schema }) => schema.patternProperties !== undefined);
    const path = owner?.path ?? '';
    if (patterns.length > mostPatterns) {
      throw refused(path, 'patternProperties', `has more than ${mostPatterns} patterns for one object`);
    }
    if (patterns.length === 0 && texts.length === 0) {
      const schemas = isClosed ? (['never'] as const) : nodes.map((node) => this.#additional(node));
      if (schemas.includes('never')) return [];
      return [{ keyRule: keyRule(names.length === 0 ? [] : [new OtherTexts(names)]), rule: ruleOf(schemas) }];
    }
    const matching: (CharDfa | null)[] = [];
    const differing: (CharDfa | 'any' | null)[] = [];
    for (const pattern of patterns) {
      const dfa = yield* strings.pattern(path, 'patternProperties', pattern);
      matching.push(dfa);
      differing.push(dfa === null ? 'any' : yield* complementDfa(dfa));
    }
    const others: OtherProperties[] = [];
    for (let kind = 0; kind < 2 ** patterns.length; kind++) {
      const isMatched = (pattern: string): boolean => ((kind >> patterns.indexOf(pattern)) & 1) === 1;
      if (kind === 0 && isClosed) continue;
      const schemas = nodes.flatMap((node) => {
        const own = Object.keys(node.schema.patternProperties ?? {}).filter(isMatched);
        if (own.length === 0) return [this.#additional(node)];
        return own.map((pattern) => this.#context.document.child(node, 'patternProperties', pattern));
      });
      if (schemas.includes('never')) continue;
      const limits = patterns.map((pattern, i) => (isMatched(pattern) ? matching[i] : differing[i]));
      if (limits.includes(null)) continue;
      const keys = yield* this.#keys(limits as (CharDfa | 'any')[], names, texts);
      if (keys !== null) others.push({ keyRule: keyRule(keys), rule: ruleOf(schemas) });
    }
    return others;
  }

  /** Texts within all limits and one of `texts`, that are no names; null: there are none. */
  *#keys(
    limits: readonly (CharDfa | 'any')[],
    names: readonly string[],
    texts: readonly CharDfa[],
  ): Generator<void, CharAutomaton[] | null> {
    const { work } = this.#context;
    let base: CharDfa | 'any' | null = 'any';
    for (const limit of [...limits, yield* this.#otherThan(names)]) {
      if (base === null || limit === 'any') continue;
      base = base === 'any' ? limit : yield* intersect(base, limit, work);
    }
    if (base === null) return null;
    if (texts.length === 0) return base === 'any' ? [] : [new DfaTexts(base)];
    const found: DfaTexts[] = [];
    for (const one of texts) {
      const both: CharDfa | null = base === 'any' ? one : yield* intersect(base, one, work);
      if (both !== null) found.push(new DfaTexts(both));
    }
    return found.length === 0 ? null : found;
  }

  *#otherThan(names: readonly string[]): Generator<void, CharDfa | 'any'> {
    if (names.length === 0) return 'any';
    const listed = yield* charDfa(choice(...names.map(text)), true, this.#context.work);
    return listed === null ? 'any' : ((yield* complementDfa(listed)) ?? 'any');
  }

  #additional(node: SchemaNode): Subschema {
    const { additionalProperties } = node.schema;
    return additionalProperties === undefined ? 'always' : this.#context.document.child(node, 'additionalProperties');
  }

  /** Counting properties is not supported, but what holds anyway may be said. */
  #checkCounts(nodes: Alternative, least: number, most: number): void {
    for (const { path, schema } of nodes) {
      if (Number(schema.minProperties ?? 0) > least) {
        throw refused(path, 'minProperties', 'is not supported beyond the number of required properties');
      }
      if (Number(schema.maxProperties ?? most) < most) {
        throw refused(path, 'maxProperties', 'is not supported below the number of properties');
      }
    }
  }
}
