// From a JSON Schema to a grammar. Each rule stands for a set of subschemas that must all hold; it is compiled once, however
// often it is used, so recursive schemas need nothing special. A list of rules still to be built takes the place of
// recursion: no schema is too deep.
// Where a schema says nothing it permits everything; unless told to take that literally, this compiler reads silence as
// people mean it: declared properties are all there are, and keywords that speak of one type mean it. What is written is
// valid in both readings. Refuses schemas without any valid text. Next: grammar.ts.

import { type Alternative, alternativesOf } from './alternatives.ts';
import { ArrayMachine } from './array-machine.ts';
import { type CharAutomaton, DfaTexts } from './char-automata.ts';
import { type CharDfa, charDfa, intersect } from './char-dfa.ts';
import type { Expression } from './expression.ts';
import { Grammar } from './grammar.ts';
import { LiteralMachine } from './literal-machine.ts';
import { deepestNesting, type Machine } from './machine.ts';
import { boundsOf, checkFormats, largest, listedValues, smallest, typesOf } from './merge.ts';
import { allNumbers, type Bounds, decimals, InexactBound, integers, multiples } from './numbers.ts';
import { ObjectMachine, type ObjectProperty } from './object-machine.ts';
import { ObjectRules } from './objects.ts';
import { Overlap } from './overlap.ts';
import { UNLIMITED } from './pattern.ts';
import { isJsonObject, refused, SchemaDocument, type SchemaNode, type Subschema } from './schema-node.ts';
import { StringRules } from './strings.ts';
import { anyText, TextMachine } from './text-machine.ts';
import { isNestedWithin, ValueChecker } from './values.ts';
import { finish, TooComplex, WorkLimit } from './work-limit.ts';

export interface SchemaOptions {
  /** Silence permits: properties that are not declared may come, and values of types that are not named. */
  readonly isOpen?: boolean;
}

const mostRules = 20_000;
const mostLiteralBytes = 2 << 20;
const stretch = 1_000; // listed values between two yields
const mostJoined = 256; // subschemas in one rule
const beyondAll = 1e7; // more items than that are as good as no limit: no context holds as many

const utf8 = new TextEncoder();

interface Unbuilt {
  readonly rule: number;
  readonly of: { readonly schemas: readonly Subschema[] } | { readonly value: unknown };
}

/** Throws `invalid-request` naming keyword and place. */
export function compileSchema(schema: unknown, options: SchemaOptions = {}): Grammar {
  return finish(compilingSchema(schema, options));
}

/** The same in steps: between two of them others may have their turn. */
export function* compilingSchema(schema: unknown, options: SchemaOptions = {}): Generator<void, Grammar> {
  try {
    return yield* new SchemaCompiler(schema, options).compile();
  } catch (error) {
    if (error instanceof TooComplex) throw refused('', 'schema', error.message);
    throw error;
  }
}

class SchemaCompiler {
  readonly #work = new WorkLimit();
  readonly #isOpen: boolean;
  readonly #document: SchemaDocument;
  readonly #strings: StringRules;
  readonly #values: ValueChecker;
  readonly #overlap: Overlap;
  readonly #objects: ObjectRules;
  readonly #machines: Machine[] = [];
  readonly #machineByKey = new Map<string, number>();
  readonly #rules: number[][] = [];
  readonly #ruleByKey = new Map<string, number>();
  readonly #unbuilt: Unbuilt[] = [];
  /** Least nesting by rule, shared by machines and grammar. */
  readonly #needs: number[] = [];
  /** By rule: why a value that was asked for cannot be. */
  readonly #conflicts = new Map<number, { path: string; keyword: string; what: string }>();
  #literalBytes = 0;
  #building = 0; // the rule that is being built

  constructor(schema: unknown, { isOpen = false }: SchemaOptions) {
    this.#isOpen = isOpen;
    this.#document = new SchemaDocument(schema);
    this.#strings = new StringRules(this.#work);
    this.#values = new ValueChecker(this.#document, this.#strings, this.#work);
    this.#overlap = new Overlap(this.#document, this.#values, this.#work);
    this.#objects = new ObjectRules({
      document: this.#document,
      strings: this.#strings,
      values: this.#values,
      work: this.#work,
      isOpen,
      ruleOf: (schemas) => this.#ruleOf(schemas),
      keyRule: (texts) => this.#keyRule(texts),
      alternatives: (schemas) => this.#alternatives(schemas),
    });
  }

  *compile(): Generator<void, Grammar> {
    const root = this.#ruleOf([this.#document.root]);
    for (let next = this.#unbuilt.pop(); next !== undefined; next = this.#unbuilt.pop()) {
      yield;
      yield* this.#build(next);
    }
    yield;
    const grammar = yield* Grammar.making(this.#machines, this.#rules, root, this.#needs);
    if (!Number.isFinite(this.#needs[root])) this.#refuseEmpty(root);
    return grammar;
  }

  /** The rule for values that all of these allow. */
  #ruleOf(schemas: readonly Subschema[]): number {
    if (schemas.includes('never')) return this.#rule('never', null);
    const nodes = [...new Set(schemas.filter((schema): schema is SchemaNode => typeof schema !== 'string'))];
    if (nodes.length > mostJoined) throw refused(nodes[0].path, 'allOf', `joins more than ${mostJoined} schemas`);
    const key = nodes.map(({ id }) => id).sort((a, b) => a - b);
    return this.#rule(key.join(), { schemas: nodes });
  }

  #rule(key: string | null, of: Unbuilt['of'] | null): number {
    const known = key === null ? undefined : this.#ruleByKey.get(key);
    if (known !== undefined) return known;
    if (this.#rules.length >= mostRules) throw refused('', 'schema', `comes to more than ${mostRules} rules`);
    const rule = this.#rules.push([]) - 1;
    this.#needs.push(Number.POSITIVE_INFINITY);
    if (key !== null) this.#ruleByKey.set(key, rule);
    if (of !== null) this.#unbuilt.push({ rule, of });
    return rule;
  }

  *#build({ rule, of }: Unbuilt): Generator<void> {
    this.#building = rule;
    const literals: Uint8Array[] = [];
    const found = new Set<number>();
    if ('value' in of) yield* this.#addValue(of.value, literals, found);
    else {
      for (const nodes of yield* this.#alternatives(of.schemas)) {
        yield;
        yield* this.#addAlternative(nodes, literals, found);
      }
    }
    if (literals.length > 0) found.add(this.#add(yield* LiteralMachine.making(literals)));
    this.#rules[rule].push(...found);
  }

  #alternatives(schemas: readonly Subschema[]): Generator<void, Alternative[]> {
    const overlaps = (one: Alternative, two: Alternative): boolean => this.#overlap.mayBoth(one, two);
    return alternativesOf(this.#document, schemas, overlaps, this.#work);
  }

  #add(machine: Machine): number {
    return this.#machines.push(machine) - 1;
  }

  /** Machines with the same key are one. */
  #machine(key: string, make: () => Machine): number {
    const known = this.#machineByKey.get(key);
    if (known !== undefined) return known;
    const machine = this.#add(make());
    this.#machineByKey.set(key, machine);
    return machine;
  }

  #conflict(nodes: readonly SchemaNode[], keyword: string, what: string): void {
    if (this.#conflicts.has(this.#building)) return;
    const node = nodes.find(({ schema }) => Object.hasOwn(schema, keyword)) ?? nodes[0];
    this.#conflicts.set(this.#building, { path: node?.path ?? '', keyword, what });
  }

  #literal(value: unknown, literals: Uint8Array[]): void {
    const literal = utf8.encode(JSON.stringify(value));
    this.#literalBytes += literal.length;
    if (this.#literalBytes > mostLiteralBytes) {
      throw refused('', 'enum', `and const come to more than ${mostLiteralBytes} bytes in all`);
    }
    literals.push(literal);
  }

  /** One value, in any layout. */
  *#addValue(value: unknown, literals: Uint8Array[], found: Set<number>): Generator<void> {
    if (Array.isArray(value)) {
      const prefix = value.map((item) => this.#rule(null, { value: item }));
      const shape = { prefix, items: null, min: prefix.length, max: prefix.length };
      found.add(this.#add(new ArrayMachine(shape, this.#needs)));
    } else if (isJsonObject(value)) {
      const properties = Object.keys(value).map((key): ObjectProperty => {
        return { key, rule: this.#rule(null, { value: value[key] }), isRequired: true };
      });
      found.add(this.#add(yield* ObjectMachine.making({ properties, others: [] }, this.#needs)));
    } else if (typeof value !== 'number' || Number.isFinite(value)) this.#literal(value, literals);
  }

  *#addAlternative(nodes: Alternative, literals: Uint8Array[], found: Set<number>): Generator<void> {
    checkFormats(nodes);
    const listed = listedValues(nodes);
    if (listed !== null) {
      let count = 0;
      for (const node of nodes) yield* this.#values.listing(node);
      for (const [i, value] of listed.entries()) {
        if (i % stretch === stretch - 1) yield;
        if (!isNestedWithin(value, deepestNesting)) continue;
        if (!nodes.every((node) => this.#values.acceptsOwn(node, value))) continue;
        yield* this.#addValue(value, literals, found);
        count++;
      }
      const keyword = nodes.some(({ schema }) => schema.enum !== undefined) ? 'enum' : 'const';
      if (count === 0) this.#conflict(nodes, keyword, 'lists no value that the other keywords allow');
      return;
    }
    const { types, isInteger } = typesOf(nodes, !this.#isOpen);
    if (types.size === 0) this.#conflict(nodes, 'type', 'leaves no type');
    if (types.has('null')) this.#literal(null, literals);
    if (types.has('boolean')) for (const value of [true, false]) this.#literal(value, literals);
    if (types.has('number')) yield* this.#addNumber(nodes, isInteger, found);
    if (types.has('string')) yield* this.#addString(nodes, found);
    if (types.has('array')) found.add(this.#array(nodes));
    if (types.has('object')) {
      const shape = yield* this.#objects.shape(nodes);
      found.add(this.#add(yield* ObjectMachine.making(shape, this.#needs)));
    }
  }

  *#addString(nodes: Alternative, found: Set<number>): Generator<void> {
    const said = nodes.map(({ schema }) => [schema.minLength, schema.maxLength, schema.pattern, schema.format]);
    const key = `string ${JSON.stringify(said.filter((list) => list.some((one) => one !== undefined)))}`;
    if (key === 'string []') this.#machine(key, () => anyText); // nothing is said of them
    const texts = this.#machineByKey.has(key) ? null : yield* this.#strings.texts(nodes);
    if (texts !== null) this.#machine(key, () => new TextMachine(texts, 'json'));
    const machine = this.#machineByKey.get(key);
    if (machine !== undefined) {
      found.add(machine);
      return;
    }
    const names = ['pattern', 'format', 'maxLength'];
    const keyword = names.find((name) => nodes.some(({ schema }) => Object.hasOwn(schema, name)));
    this.#conflict(nodes, keyword ?? 'type', 'together with the other keywords leaves no string');
  }

  *#addNumber(nodes: Alternative, isInteger: boolean, found: Set<number>): Generator<void> {
    const bounds = boundsOf(nodes);
    const steps = nodes.filter(({ schema }) => schema.multipleOf !== undefined);
    for (const { path, schema } of steps) {
      const step = schema.multipleOf as number;
      if (!Number.isInteger(step)) throw refused(path, 'multipleOf', 'is no whole number; only those are exact');
      if (step > 2_000) throw refused(path, 'multipleOf', 'is larger than 2000');
    }
    const isWhole = isInteger || steps.length > 0;
    const multiplesOf = steps.map(({ schema }) => schema.multipleOf as number);
    const { low, high, isLowOpen, isHighOpen } = bounds;
    const key = `number ${isWhole} ${low} ${high} ${isLowOpen} ${isHighOpen} ${multiplesOf}`;
    const dfa = this.#machineByKey.has(key) ? null : yield* this.#numberDfa(nodes, bounds, isWhole, multiplesOf);
    if (dfa !== null) this.#machine(key, () => new TextMachine(new DfaTexts(dfa), 'plain'));
    const machine = this.#machineByKey.get(key);
    if (machine !== undefined) {
      found.add(machine);
      return;
    }
    const names = ['multipleOf', 'minimum', 'exclusiveMinimum', 'maximum', 'exclusiveMaximum'];
    const keyword = names.find((name) => nodes.some(({ schema }) => schema[name] !== undefined));
    this.#conflict(nodes, keyword ?? 'type', 'together with the other keywords leaves no number that can be written');
  }

  *#numberDfa(
    nodes: Alternative,
    bounds: Bounds,
    isWhole: boolean,
    multiplesOf: readonly number[],
  ): Generator<void, CharDfa | null> {
    const hasBounds = Number.isFinite(bounds.low) || Number.isFinite(bounds.high);
    let digits: Expression | null;
    try {
      digits = isWhole ? integers(bounds) : hasBounds ? decimals(bounds) : allNumbers();
    } catch (error) {
      if (!(error instanceof InexactBound)) throw error;
      throw refused(nodes[0]?.path ?? '', Number.isFinite(bounds.low) ? 'minimum' : 'maximum', error.message);
    }
    let dfa: CharDfa | null = digits === null ? null : yield* charDfa(digits, true, this.#work);
    for (const step of multiplesOf) if (dfa !== null) dfa = yield* intersect(dfa, multiples(step), this.#work);
    return dfa;
  }

  #array(nodes: Alternative): number {
    const document = this.#document;
    const prefixes = nodes.map((node) => document.children(node, 'prefixItems'));
    const rests = nodes.map(({ schema }, i): Subschema => {
      return schema.items === undefined ? 'always' : document.child(nodes[i], 'items');
    });
    const longest = prefixes.reduce((most, prefix) => Math.max(most, prefix.length), 0);
    const prefix = Array.from({ length: longest }, (_, at) => {
      return this.#ruleOf(prefixes.map((list, i) => list[at] ?? rests[i]));
    });
    const items = this.#ruleOf(rests);
    const most = smallest(nodes, 'maxItems');
    const shape = { prefix, items, min: largest(nodes, 'minItems'), max: most > beyondAll ? UNLIMITED : most };
    if (shape.min > shape.max) this.#conflict(nodes, 'minItems', 'is larger than maxItems');
    const key = `array ${prefix.join()} ${items} ${shape.min} ${shape.max}`;
    return this.#machine(key, () => new ArrayMachine(shape, this.#needs));
  }

  /** A rule for keys; no automatons: any key. */
  #keyRule(texts: readonly CharAutomaton[]): number {
    if (texts.length > 0) {
      const machines = texts.map((one) => this.#add(new TextMachine(one, 'json')));
      const rule = this.#rule(null, null);
      this.#rules[rule].push(...machines);
      return rule;
    }
    const rule = this.#rule('any key', null);
    this.#rules[rule] = [this.#machine('string []', () => anyText)];
    return rule;
  }

  /** The first reason found on the way down through what is required. */
  #refuseEmpty(root: number): never {
    const seen = new Set<number>();
    const todo = [root];
    while (todo.length > 0) {
      const rule = todo.shift()!;
      if (seen.has(rule) || Number.isFinite(this.#needs[rule])) continue;
      seen.add(rule);
      const conflict = this.#conflicts.get(rule);
      if (conflict !== undefined) throw refused(conflict.path, conflict.keyword, conflict.what);
      for (const machine of this.#rules[rule].map((index) => this.#machines[index])) {
        if (machine instanceof ObjectMachine) {
          for (const { isRequired, rule: value } of machine.shape.properties) if (isRequired) todo.push(value);
        } else if (machine instanceof ArrayMachine) todo.push(...machine.shape.prefix, machine.shape.items ?? root);
      }
    }
    throw refused('', 'schema', `has no valid value of at most ${deepestNesting} containers in each other`);
  }
}
