// What subschemas say together: references followed, allOf joined, anyOf and oneOf multiplied out into alternatives, each a
// list of nodes whose own keywords must all hold. Refuses references that lead back to themselves without a value in
// between, and oneOf whose branches might overlap: an answer that matches two of them would be wrong.
// Next: merge.ts (what the keywords of an alternative come to).

import { refused, type SchemaDocument, type SchemaNode, type Subschema } from './schema-node.ts';
import type { WorkLimit } from './work-limit.ts';

/** All of these hold, each with its own keywords only. */
export type Alternative = readonly SchemaNode[];

const mostAlternatives = 512;
const longestChain = 200;
const mostOneOf = 200;
const pairs = 32; // of branches that are compared between two yields

/** A way into a node without reading anything, for finding circles. */
interface Chain {
  readonly node: SchemaNode;
  readonly from: Chain | null;
  readonly length: number;
}

interface Pending {
  readonly schema: Subschema;
  readonly chain: Chain | null;
}

interface Branch {
  readonly found: readonly SchemaNode[];
  readonly pending: readonly Pending[]; // last one first
}

export type Overlaps = (one: Alternative, two: Alternative) => boolean;

/** In steps. `overlaps`: whether a value may match both. */
export function* alternativesOf(
  document: SchemaDocument,
  schemas: readonly Subschema[],
  overlaps: Overlaps,
  work: WorkLimit,
  base: readonly SchemaNode[] = [],
): Generator<void, Alternative[]> {
  const done: Alternative[] = [];
  const start = schemas.map((schema): Pending => ({ schema, chain: null })).reverse();
  const branches: Branch[] = [{ found: base, pending: start }];
  while (branches.length > 0) {
    const branch = branches.pop()!;
    const pending = [...branch.pending];
    const next = pending.pop();
    if (next === undefined) {
      done.push(branch.found);
      continue;
    }
    work.spend(1 + pending.length + branch.found.length);
    if (work.isDue()) yield;
    const { schema, chain } = next;
    if (schema === 'never') continue;
    if (schema === 'always') {
      branches.push({ found: branch.found, pending });
      continue;
    }
    for (let at = chain; at !== null; at = at.from) {
      if (at.node === schema) {
        throw refused(schema.path, '$ref', 'leads back to itself without any value in between');
      }
    }
    if (branch.found.includes(schema)) {
      branches.push({ found: branch.found, pending });
      continue;
    }
    const length = (chain?.length ?? 0) + 1;
    if (length > longestChain) throw refused(schema.path, '$ref', `is the end of a chain longer than ${longestChain}`);
    const here: Chain = { node: schema, from: chain, length };
    const found = [...branch.found, schema];
    const more: Subschema[] = [];
    if (schema.schema.$ref !== undefined) more.push(document.reference(schema));
    more.push(...document.children(schema, 'allOf'));
    for (const inner of more.reverse()) pending.push({ schema: inner, chain: here });
    const choices: Subschema[][] = [];
    if (schema.schema.anyOf !== undefined) choices.push(document.children(schema, 'anyOf'));
    if (schema.schema.oneOf !== undefined) {
      const options = document.children(schema, 'oneOf');
      yield* checkDisjoint(document, schema, options, overlaps, work, found, here);
      choices.push(options);
    }
    let open: Branch[] = [{ found, pending }];
    for (const options of choices) {
      if (open.length * options.length + branches.length + done.length > mostAlternatives) {
        throw refused(schema.path, 'anyOf', `comes to more than ${mostAlternatives} combinations`);
      }
      open = open.flatMap((one) =>
        options.map((option) => ({ found, pending: [...one.pending, { schema: option, chain: here }] })),
      );
    }
    branches.push(...open.reverse());
  }
  return done;
}

function* checkDisjoint(
  document: SchemaDocument,
  node: SchemaNode,
  options: readonly Subschema[],
  overlaps: Overlaps,
  work: WorkLimit,
  base: readonly SchemaNode[],
  chain: Chain,
): Generator<void, void> {
  if (options.length > mostOneOf) throw refused(node.path, 'oneOf', `has more than ${mostOneOf} branches`);
  if (options.length < 2) return;
  for (let at: Chain | null = chain; at !== null; at = at.from) {
    if (options.includes(at.node))
      throw refused(node.path, 'oneOf', 'leads back to itself without any value in between');
  }
  const all: Alternative[][] = [];
  for (const option of options) all.push(yield* alternativesOf(document, [option], overlaps, work, base));
  let compared = 0;
  for (let i = 0; i < all.length; i++) {
    for (let j = i + 1; j < all.length; j++) {
      for (const one of all[i]) {
        for (const two of all[j]) {
          work.spend(8);
          if (++compared % pairs === 0) yield;
          if (!overlaps(one, two)) continue;
          throw refused(
            node.path,
            'oneOf',
            `may match both in branch ${i} and in branch ${j}, which cannot be prevented while writing; use anyOf, or make them differ in a required constant`,
          );
        }
      }
    }
  }
}
