// An item of a task family as an environment: the calculator really calculates, declared functions answer what the item
// says when they are called as they should be and an error otherwise, so a wrong call cannot lead to the right answer.

import { canUse, declaredCalculator, type TaskConversation } from '../tasks/conversation.ts';
import { pythonJson } from '../tasks/function-concepts.ts';
import type { Family, World } from '../tasks/item.ts';
import { calculate } from './calculate.ts';
import type { Called, Environment, LastTurn, Verdict } from './environment.ts';

export class TaskEnvironment implements Environment {
  readonly name: string;
  readonly level: Environment['level'];
  readonly prompt: Environment['prompt'];
  readonly isGuessable: boolean;
  readonly maxCalls: number;
  readonly tools: Environment['tools'];
  readonly #conversation: TaskConversation;
  readonly #calculator: ReturnType<typeof declaredCalculator>;
  readonly #world: World | null;
  #undeclared = 0;
  #malformed = 0;
  #calls = 0;
  #hasExpectedCall = false;

  constructor(conversation: TaskConversation, family: Family) {
    const { item, setting, messages, promptLength } = conversation;
    this.name = item.family;
    this.level = setting.level;
    this.prompt = messages.slice(0, promptLength);
    this.isGuessable = family.isGuessable === true;
    this.#conversation = conversation;
    this.#world = item.world?.() ?? null;
    this.maxCalls = this.#world === null ? 3 : 6;
    this.#calculator = setting.tool === 'calculate' ? declaredCalculator(this.prompt) : null;
    const functions = (item.functions ?? []).map(({ name }) => name);
    if (this.#calculator !== null) functions.push(this.#calculator.name);
    this.tools = { functions, builtins: setting.tool === 'python' ? ['python'] : [] };
  }

  call({ name, arguments: given, text }: Called): string {
    this.#calls++;
    const { item, setting } = this.#conversation;
    const isDeclared =
      this.tools.builtins.includes(name) || this.tools.functions.some((known) => `functions.${known}` === name);
    if (!isDeclared) {
      this.#undeclared++;
      return pythonJson({ error: 'unknown tool' });
    }
    if (name === 'python') {
      // Known here: what the solution would run, and printed arithmetic; see docs/training.md.
      if (canUse(item, 'python') && text.trim() === item.tool!.code) return item.tool!.result;
      const printed = printedNumber(text);
      if (printed !== null) return printed;
      this.#malformed++;
      return 'error: this code is not supported';
    }
    if (this.#calculator !== null && name === `functions.${this.#calculator.name}`) {
      const expression = (given as Record<string, unknown> | undefined)?.[this.#calculator.parameter];
      const result = typeof expression === 'string' ? calculate(expression) : { error: 'bad arguments' };
      if ('value' in result) return result.value;
      this.#malformed++;
      return pythonJson({ error: result.error });
    }
    if (this.#world !== null) {
      const result = this.#world.call(name, given);
      if (result === null) this.#malformed++;
      return result ?? pythonJson({ error: 'not possible' });
    }
    const expected = item.expectedCall;
    if (expected !== undefined && expected !== null && name === expected.name && sameValue(given, expected.arguments)) {
      this.#hasExpectedCall = true;
      const step = item.solutions[setting.level].steps.find((each) => each.kind === 'call');
      return step?.kind === 'call' ? step.result : 'ok';
    }
    if (given === undefined) this.#malformed++;
    return pythonJson({ error: 'bad arguments' });
  }

  judge(last: LastTurn): Verdict {
    const { item } = this.#conversation;
    const said = last.finish === 'stop' && last.fallback === null && item.verify(last.text);
    const isCalled =
      this.#world?.isDone() ??
      (item.expectedCall === undefined ||
        (item.expectedCall === null ? this.#calls === 0 : this.#hasExpectedCall && this.#calls === 1));
    return {
      isCorrect: said && isCalled,
      undeclared: this.#undeclared,
      malformed: this.#malformed,
      calls: this.#calls,
    };
  }
}

/** What `print(…)` of whole-number arithmetic prints; null for any other code. A single slash would give a fraction. */
function printedNumber(code: string): string | null {
  const inside = /^\s*print\(([-+*/%\d() ]+)\)\s*$/.exec(code)?.[1];
  if (inside === undefined || /(?<!\/)\/(?!\/)/.test(inside)) return null;
  const result = calculate(inside);
  return 'value' in result ? result.value : null;
}

/** Equal as JSON, whatever the order of keys; 3 and "3" are different. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [x, y] = [Object.entries(a), Object.entries(b)];
  return (
    x.length === y.length &&
    x.every(([key, value]) => Object.hasOwn(b, key) && sameValue(value, (b as Record<string, unknown>)[key]))
  );
}
