// What the keywords of strings come to: patterns, formats and lengths of some nodes as one automaton. Patterns are compiled
// once per schema. Refuses, naming keyword and place, what pattern.ts cannot read and what would take too many states.

import { type CharAutomaton, CountedTexts, DfaTexts } from './char-automata.ts';
import { type CharDfa, intersect, lengthDfa } from './char-dfa.ts';
import { stringFormats } from './formats.ts';
import { largest, smallest } from './merge.ts';
import { PatternProblem, UNLIMITED } from './pattern.ts';
import { patternDfa } from './pattern-dfa.ts';
import { refused, type SchemaNode } from './schema-node.ts';
import { finish, TooComplex, type WorkLimit } from './work-limit.ts';

/** No text of a context is as long: more characters than that are as good as no limit. */
const beyondAll = 1e7;

/** Runs what may find a text's rules too complex, and says which keyword it was. */
function* naming<T>(path: string, keyword: string, work: Generator<void, T>): Generator<void, T> {
  try {
    return yield* work;
  } catch (error) {
    if (error instanceof PatternProblem || error instanceof TooComplex) throw refused(path, keyword, error.message);
    throw error;
  }
}

interface Rule {
  readonly path: string;
  readonly keyword: string;
  readonly dfa: CharDfa | null;
}

export class StringRules {
  readonly #work: WorkLimit;
  readonly #dfas = new Map<string, CharDfa | null>();

  constructor(work: WorkLimit) {
    this.#work = work;
  }

  /** Texts that all nodes allow; null: there are none. */
  *texts(nodes: readonly SchemaNode[]): Generator<void, CharAutomaton | null> {
    const found = yield* this.#find(nodes);
    return found === null || found instanceof CountedTexts ? found : new DfaTexts(found);
  }

  /** The same as an automaton that others can be joined with. */
  *dfa(nodes: readonly SchemaNode[]): Generator<void, CharDfa | null> {
    const found = yield* this.#find(nodes);
    if (!(found instanceof CountedTexts)) return found;
    return yield* naming(nodes[0]?.path ?? '', 'maxLength', lengthDfa(found.min, found.max));
  }

  /** Texts in which a pattern matches. */
  *pattern(path: string, keyword: string, pattern: string): Generator<void, CharDfa | null> {
    return yield* this.#dfa(path, keyword, pattern, false);
  }

  *#find(nodes: readonly SchemaNode[]): Generator<void, CountedTexts | CharDfa | null> {
    const min = largest(nodes, 'minLength');
    const longest = smallest(nodes, 'maxLength');
    const max = longest > beyondAll ? UNLIMITED : longest;
    if (min > max) return null;
    const rules = yield* this.#rules(nodes);
    if (rules.length === 0) return new CountedTexts(min, max);
    let all = rules[0].dfa;
    for (const { path, keyword, dfa } of rules.slice(1)) {
      if (all === null || dfa === null) return null;
      all = yield* naming(path, keyword, intersect(all, dfa, this.#work));
    }
    if (all !== null && (min > 0 || max !== UNLIMITED)) {
      all = yield* naming(rules[0].path, rules[0].keyword, this.#limited(all, min, max));
    }
    return all;
  }

  *#limited(texts: CharDfa, min: number, max: number): Generator<void, CharDfa | null> {
    return yield* intersect(texts, yield* lengthDfa(min, max), this.#work);
  }

  /** Whether the keywords of one node allow a text. */
  accepts(node: SchemaNode, text: string): boolean {
    const { minLength, maxLength } = node.schema;
    if (minLength !== undefined || maxLength !== undefined) {
      let count = 0;
      for (const _ of text) count++;
      if (count < Number(minLength ?? 0) || count > Number(maxLength ?? UNLIMITED)) return false;
    }
    return finish(this.#rules([node])).every(({ dfa }) => dfa !== null && new DfaTexts(dfa).matches(text));
  }

  *#rules(nodes: readonly SchemaNode[]): Generator<void, Rule[]> {
    const rules: Rule[] = [];
    const seen = new Set<string>();
    for (const { path, schema } of nodes) {
      for (const keyword of ['pattern', 'format'] as const) {
        const value = schema[keyword];
        const source = keyword === 'pattern' ? value : stringFormats.get(String(value));
        if (typeof value !== 'string' || typeof source !== 'string' || seen.has(`${keyword} ${value}`)) continue;
        seen.add(`${keyword} ${value}`);
        rules.push({ path, keyword, dfa: yield* this.#dfa(path, keyword, source, keyword === 'format') });
      }
    }
    return rules;
  }

  *#dfa(path: string, keyword: string, source: string, whole: boolean): Generator<void, CharDfa | null> {
    const key = `${whole} ${source}`;
    let dfa = this.#dfas.get(key);
    if (dfa === undefined) {
      dfa = yield* naming(path, keyword, patternDfa(source, whole, this.#work));
      this.#dfas.set(key, dfa);
    }
    return dfa;
  }
}
