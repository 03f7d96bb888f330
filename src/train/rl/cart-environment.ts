// An environment with state: a shopping cart behind four functions. The request says what the cart is to hold in the end;
// the reward looks at the state alone, so any sequence of calls that leads there is right, and talk without calls is not.

import type { FunctionDefinition, Message, ReasoningEffort } from '../../text/harmony/messages.ts';
import type { Turn } from '../../text/harmony/turn.ts';
import { tinyIdentity } from '../tasks/conversation.ts';
import { pythonJson } from '../tasks/function-concepts.ts';
import type { Random } from '../tasks/random.ts';
import { things } from '../tasks/words.ts';
import type { Called, Environment, Verdict } from './environment.ts';
import { sameValue } from './task-environment.ts';

type Cart = Readonly<Record<string, number>>;

const object = (properties: Record<string, string>): FunctionDefinition['parameters'] => ({
  type: 'object',
  properties: Object.fromEntries(Object.entries(properties).map(([name, type]) => [name, { type }])),
  required: Object.keys(properties),
});

const functions: readonly FunctionDefinition[] = [
  { name: 'add', description: 'Adds to the cart.', parameters: object({ item: 'string', quantity: 'integer' }) },
  { name: 'remove', description: 'Takes an item out of the cart.', parameters: object({ item: 'string' }) },
  {
    name: 'set_quantity',
    description: 'Changes how many.',
    parameters: object({ item: 'string', quantity: 'integer' }),
  },
  { name: 'show_cart', description: 'Lists the cart.' },
];

/** The state after a call; null when the call is not possible, and then nothing changes. */
export function applyCall(cart: Cart, name: string, given: Readonly<Record<string, unknown>>): Cart | null {
  const { item, quantity } = given;
  const isItem = typeof item === 'string' && things.includes(item);
  const isCount = Number.isInteger(quantity) && (quantity as number) >= 1 && (quantity as number) <= 99;
  switch (name) {
    case 'functions.add':
      return isItem && isCount ? { ...cart, [item]: (cart[item] ?? 0) + (quantity as number) } : null;
    case 'functions.set_quantity':
      return isItem && isCount && item in cart ? { ...cart, [item]: quantity as number } : null;
    case 'functions.remove': {
      if (!isItem || !(item in cart)) return null;
      const { [item]: _, ...rest } = cart;
      return rest;
    }
    case 'functions.show_cart':
      return cart;
    default:
      return null;
  }
}

export class CartEnvironment implements Environment {
  readonly name = 'cart';
  readonly level: ReasoningEffort;
  readonly isGuessable = false;
  readonly maxCalls = 6;
  readonly tools = { functions: functions.map(({ name }) => name), builtins: [] };
  readonly prompt: readonly Message[];
  readonly wanted: Cart;
  #cart: Cart;
  #calls = 0;
  #undeclared = 0;
  #malformed = 0;

  /** `wishes`: changes that the user asks for, 1 to 3. */
  constructor(random: Random, level: ReasoningEffort, wishes: number) {
    this.level = level;
    const [a, b, ...others] = random.sample(things, 5) as [string, string, ...string[]];
    this.#cart = { [a]: random.int(1, 9), [b]: random.int(1, 9) };
    let wanted: Cart = this.#cart;
    const parts: string[] = [];
    const steps = random.shuffle(['add', 'set', 'remove']).slice(0, wishes);
    for (const step of steps) {
      const n = random.int(2, 9);
      const fresh = others.pop()!;
      if (step === 'add') {
        wanted = applyCall(wanted, 'functions.add', { item: fresh, quantity: n })!;
        parts.push(`add ${n} ${fresh}`);
      } else if (step === 'set') {
        wanted = applyCall(wanted, 'functions.set_quantity', { item: a, quantity: n })!;
        parts.push(`make it ${n} ${a}`);
      } else {
        wanted = applyCall(wanted, 'functions.remove', { item: b })!;
        parts.push(`remove the ${b}`);
      }
    }
    this.wanted = wanted;
    const request = `Please ${parts.join(', and ')}.`;
    this.prompt = [
      { role: 'system', content: [{ type: 'system', identity: tinyIdentity, knowledgeCutoff: null, effort: level }] },
      { role: 'developer', content: [{ type: 'developer', functions }] },
      {
        role: 'user',
        content: `My cart has ${Object.entries(this.#cart)
          .map(([item, n]) => `${n} ${item}`)
          .join(' and ')}. ${request}`,
      },
    ];
  }

  get cart(): Cart {
    return this.#cart;
  }

  call({ name, arguments: given }: Called): string {
    this.#calls++;
    if (!this.tools.functions.some((known) => `functions.${known}` === name)) {
      this.#undeclared++;
      return pythonJson({ error: 'unknown tool' });
    }
    const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
    const next = isObject ? applyCall(this.#cart, name, given as Record<string, unknown>) : null;
    if (next === null) {
      this.#malformed++;
      return pythonJson({ error: 'not possible' });
    }
    this.#cart = next;
    return pythonJson(name === 'functions.show_cart' ? { cart: next } : { ok: true });
  }

  judge(last: Turn): Verdict {
    return {
      isCorrect: last.finish === 'stop' && last.fallback === null && sameValue(this.#cart, this.wanted),
      undeclared: this.#undeclared,
      malformed: this.#malformed,
      calls: this.#calls,
    };
  }
}
