// Family 14, with state: a shopping cart behind four functions. The request says what is to change; what counts is the cart
// in the end and an answer that says it, so any sequence of calls that leads there is right, and talk without calls is not.

import type { FunctionDefinition } from '../../text/harmony/messages.ts';
import { pythonJson } from './function-concepts.ts';
import { analysis, type Family, type Item, type Step, type World } from './item.ts';
import { things } from './words.ts';

export type Cart = Readonly<Record<string, number>>;

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

/** A cart that calls change. */
class CartWorld implements World {
  readonly #wanted: Cart;
  #cart: Cart;

  constructor(start: Cart, wanted: Cart) {
    this.#cart = start;
    this.#wanted = wanted;
  }

  call(name: string, given: unknown): string | null {
    const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
    const next = isObject ? applyCall(this.#cart, name, given as Record<string, unknown>) : null;
    if (next === null) return null;
    this.#cart = next;
    return resultOf(name, next);
  }

  isDone(): boolean {
    return sameCart(this.#cart, this.#wanted);
  }
}

const resultOf = (name: string, cart: Cart): string =>
  pythonJson(name === 'functions.show_cart' ? { cart } : { ok: true });

function sameCart(a: Cart, b: Cart): boolean {
  const [x, y] = [Object.keys(a), Object.keys(b)];
  return x.length === y.length && x.every((item) => a[item] === b[item]);
}

const told = (cart: Cart): string =>
  Object.entries(cart)
    .map(([item, n]) => `${n} ${item}`)
    .join(' and ') || 'nothing';

/** Size n: n changes. */
export const cartChanges: Family = {
  ...{ name: 'cart', suite: 14, sizes: 3 },
  draw({ random, size }): Item {
    const [a, b, ...others] = random.sample(things, 7) as [string, string, ...string[]];
    const start: Cart = { [a]: random.int(1, 9), [b]: random.int(1, 9) };
    let cart: Cart = start;
    const parts: string[] = [];
    const calls: { name: string; given: Readonly<Record<string, unknown>>; after: Cart }[] = [];
    const kinds = random.shuffle(['add', 'set', 'remove']).slice(0, Math.min(3, size));
    while (kinds.length < size) kinds.push('add');
    for (const kind of kinds) {
      const n = random.int(2, 9);
      const fresh = others.pop()!;
      const [name, given, part] =
        kind === 'add'
          ? (['functions.add', { item: fresh, quantity: n }, `add ${n} ${fresh}`] as const)
          : kind === 'set'
            ? (['functions.set_quantity', { item: a, quantity: n }, `make it ${n} ${a}`] as const)
            : (['functions.remove', { item: b }, `remove the ${b}`] as const);
      cart = applyCall(cart, name, given)!;
      parts.push(part);
      calls.push({ name, given, after: cart });
    }
    const wanted = cart;
    const steps: Step[] = calls.map(({ name, given, after }) => ({
      ...{ kind: 'call', to: name, content: pythonJson(given), result: resultOf(name, after) },
    }));
    const request = parts.join(' and ');
    const has = `My cart has ${told(start)}.`;
    const final = `Your cart has ${told(wanted)}.`;
    const followed = calls.flatMap(({ after }, i) => [
      steps[i]!,
      analysis(
        `${i + 1} of ${calls.length}\nNow ${told(after)}${i + 1 < calls.length ? `\nNext: ${parts[i + 1]}` : ', as wanted.'}`,
      ),
    ]);
    return {
      key: `${told(start)}: ${request}`,
      prompts: [`${has} Please ${request}.`, `${has} Can you ${request}?`, `${has} I want you to ${request}.`],
      heldOutPrompts: [`Right now I have ${told(start)} in my cart. Now ${request}, please.`],
      functions,
      solutions: {
        low: { steps, final },
        medium: { steps: [analysis(parts.join('\n')), ...steps], final },
        high: {
          steps: [
            analysis(
              `Cart: ${told(start)}\n${parts.map((part, i) => `${i + 1} ${part}: ${calls[i]!.name.slice(10)}`).join('\n')}\nWanted: ${told(wanted)}\nFirst: ${parts[0]}`,
            ),
            ...followed,
          ],
          final,
        },
      },
      world: () => new CartWorld(start, wanted),
      verify: (said) => saysCart(said, wanted),
    };
  },
};

/** Every item with its number, in any order, and nothing else. */
function saysCart(said: string, cart: Cart): boolean {
  const found = [...said.matchAll(/(\d+) ([a-z]+)/g)].map(([, n, item]) => [item!, Number(n)] as const);
  if (Object.keys(cart).length === 0) return found.length === 0 && /\b(nothing|empty)\b/i.test(said);
  return found.length > 0 && found.length === Object.keys(cart).length && sameCart(Object.fromEntries(found), cart);
}
