// Whether one value may match two alternatives at once. Answers "no" only when it is certain: by types, by listed values,
// by bounds and lengths, by a required property whose values differ, by a required property that the other forbids.

import { type Alternative, alternativesOf } from './alternatives.ts';
import { boundsOf, largest, listedValues, smallest, typesOf } from './merge.ts';
import type { SchemaDocument, Subschema } from './schema-node.ts';
import type { ValueChecker } from './values.ts';
import { finish, type WorkLimit } from './work-limit.ts';

const deepest = 3; // properties of properties that are compared

export class Overlap {
  readonly #document: SchemaDocument;
  readonly #values: ValueChecker;
  readonly #work: WorkLimit;
  #depth = 0;

  constructor(document: SchemaDocument, values: ValueChecker, work: WorkLimit) {
    this.#document = document;
    this.#values = values;
    this.#work = work;
  }

  mayBoth(one: Alternative, two: Alternative): boolean {
    this.#work.spend(one.length + two.length);
    const both = [...new Set([...one, ...two])];
    const listed = listedValues(both);
    if (listed !== null) return listed.some((value) => both.every((node) => this.#values.acceptsOwn(node, value)));
    const { types } = typesOf(both, false);
    if (types.has('null') || types.has('boolean')) return true;
    if (types.has('number')) {
      const { low, high, isLowOpen, isHighOpen } = boundsOf(both);
      if (low < high || (low === high && !isLowOpen && !isHighOpen)) return true;
    }
    if (types.has('string') && largest(both, 'minLength') <= smallest(both, 'maxLength')) return true;
    if (types.has('array') && largest(both, 'minItems') <= smallest(both, 'maxItems')) return true;
    return types.has('object') && this.#mayBothBeObjects(one, two, both);
  }

  #mayBothBeObjects(one: Alternative, two: Alternative, both: Alternative): boolean {
    if (this.#depth >= deepest) return true;
    const required = new Set(both.flatMap(({ schema }) => (schema.required ?? []) as string[]));
    this.#work.spend(required.size);
    this.#depth++;
    try {
      for (const name of required) {
        const first = one.flatMap((node) => this.#values.property(node, name));
        const second = two.flatMap((node) => this.#values.property(node, name));
        const all = [...first, ...second];
        if (all.includes('never')) return false;
        if (all.every((schema) => schema === 'always')) continue;
        if (!this.#mayValuesBoth(first, second)) return false;
      }
      return true;
    } finally {
      this.#depth--;
    }
  }

  #mayValuesBoth(first: readonly Subschema[], second: readonly Subschema[]): boolean {
    const overlaps = (one: Alternative, two: Alternative): boolean => this.mayBoth(one, two);
    const left = finish(alternativesOf(this.#document, first, overlaps, this.#work));
    const right = finish(alternativesOf(this.#document, second, overlaps, this.#work));
    return left.some((one) => right.some((two) => this.mayBoth(one, two)));
  }
}
