// What declared functions are about: a few real-life concepts under many names, and invented ones, so that the only way to
// know a function's name and its arguments' names is to read the declaration. Pure draws. Next: function-calls.ts.

import type { FunctionDefinition } from '../../text/harmony/messages.ts';
import {
  adjectives,
  amount,
  type ConceptDraw,
  day,
  define,
  drawKinds,
  inventedName,
  type Kind,
  namedParameters,
  optionalParameter,
  type Parameter,
  person,
  phraseOf,
  place,
  properName,
  sentenceOf,
  shortText,
  thing,
  two,
  verbs,
  withOtherValue,
} from './function-kinds.ts';
import type { Random } from './random.ts';
import { inventedWord } from './words.ts';

export interface FunctionUse {
  readonly definition: FunctionDefinition;
  /** A request that needs this function, in trained and in test wordings. */
  readonly requests: readonly string[];
  readonly heldOutRequests: readonly string[];
  /** A request that follows an earlier one of the same kind. */
  readonly followUp: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The parameters that are always given, in order. */
  readonly parameters: readonly Parameter[];
  /** All of them as they are declared, with what to call each kind. */
  readonly declared: readonly Parameter[];
  /** The request without its most important value, and what to ask for then. */
  readonly incomplete: { readonly request: string; readonly missing: string } | null;
  /** The same function with other values, nothing optional. */
  again(draw: ConceptDraw): FunctionUse;
  /** What the tool answers, and what the model says then. */
  readonly result: string;
  readonly answer: string;
  /** Words that tell what is wanted and what the function does, equal where it fits: `weather`, `find old lamp`. Two
   *  functions with the same description have the same, others do not. */
  readonly topic: string;
}

interface Concept {
  readonly functions: readonly string[];
  readonly description: string;
  readonly topic: string;
  readonly kinds: readonly Kind[];
  /** `values` are those of `kinds`, in order. The last request is for tests. */
  say(values: readonly (string | number)[]): {
    requests: readonly string[];
    followUp: string;
    incomplete: string;
  };
  answer(values: readonly (string | number)[], random: Random): { result: string; answer: string };
}

const conditions = ['sunny', 'cloudy', 'rainy', 'windy', 'foggy', 'snowy', 'stormy', 'partly cloudy'];

const concepts: readonly Concept[] = [
  {
    functions: ['get_weather', 'get_current_weather', 'weather_now', 'fetch_weather', 'current_weather'],
    description: 'Gets the current weather in a place.',
    topic: 'weather',
    kinds: [place],
    say: ([city]) => ({
      requests: [
        `What is the weather in ${city}?`,
        `How is the weather in ${city}?`,
        `Tell me the weather in ${city}.`,
        `weather in ${city}`,
        `Do I need a coat in ${city} now?`,
        `Could you check the weather in ${city}?`,
        `I am in ${city}. How is the weather?`,
        `What's the weather like in ${city} right now?`,
      ],
      followUp: `And in ${city}?`,
      incomplete: 'What is the weather?',
    }),
    answer: ([city], random) => {
      const degrees = random.int(-10, 38);
      const condition = random.pick(conditions);
      return {
        result: pythonJson({ temperature: degrees, condition }),
        answer: `It is ${degrees} degrees and ${condition} in ${city}.`,
      };
    },
  },
  {
    functions: ['get_time', 'local_time', 'current_time', 'time_in', 'clock'],
    description: 'Tells the local time of a place.',
    topic: 'local time',
    kinds: [place],
    say: ([city]) => ({
      requests: [
        `What time is it in ${city}?`,
        `Tell me the time in ${city}.`,
        `What is the local time in ${city}?`,
        `What does the clock say in ${city}?`,
        `Can you tell me what time it is in ${city}?`,
        `time in ${city}`,
        `I have to call someone in ${city}. What time is it there?`,
        `How late is it in ${city}?`,
      ],
      followUp: `And in ${city}?`,
      incomplete: 'What time is it there?',
    }),
    answer: ([city], random) => {
      const time = `${two(random.int(0, 23))}:${two(random.int(0, 59))}`;
      return { result: pythonJson({ time }), answer: `It is ${time} in ${city}.` };
    },
  },
  {
    functions: ['send_message', 'message', 'send_text', 'notify', 'write_to'],
    description: 'Sends a short message to a person.',
    topic: 'message',
    kinds: [person, { ...thing, names: ['text', 'message', 'content', 'body'], words: 'text', value: shortText }],
    say: ([who, text]) => ({
      requests: [
        `Send "${text}" to ${who}.`,
        `Tell ${who}: "${text}"`,
        `Write "${text}" to ${who}.`,
        `Can you send ${who} a message? "${text}"`,
        `Message to ${who}: "${text}"`,
        `I want ${who} to read this: "${text}"`,
        `Please let ${who} know: "${text}"`,
      ],
      followUp: `Now send "${text}" to ${who}.`,
      incomplete: `Send "${text}".`,
    }),
    answer: ([who]) => ({ result: pythonJson({ sent: true }), answer: `Your message to ${who} was sent.` }),
  },
  {
    functions: ['set_timer', 'start_timer', 'timer', 'countdown'],
    description: 'Starts a timer.',
    topic: 'timer',
    kinds: [{ ...amount, names: ['minutes', 'duration', 'length', 'time_in_minutes'], words: 'minutes' }],
    say: ([minutes]) => ({
      requests: [
        `Set a timer for ${minutes} minutes.`,
        `Start a ${minutes} minute timer.`,
        `Timer: ${minutes} minutes.`,
        `Can you set a timer? ${minutes} minutes, please.`,
        `Tell me when ${minutes} minutes are over.`,
        `${minutes} minutes on the timer, please.`,
        `Wake me in ${minutes} minutes.`,
      ],
      followUp: `And another one for ${minutes} minutes.`,
      incomplete: 'Set a timer.',
    }),
    answer: ([minutes]) => ({ result: pythonJson({ ok: true }), answer: `The timer is set to ${minutes} minutes.` }),
  },
  {
    functions: ['add_to_cart', 'order', 'buy', 'add_item', 'put_in_basket'],
    description: 'Puts things into the shopping cart.',
    topic: 'cart',
    kinds: [thing, { ...amount, names: ['quantity', 'count', 'how_many', 'number'] }],
    say: ([what, count]) => ({
      requests: [
        `Add ${count} ${what} to my cart.`,
        `Buy ${count} ${what}.`,
        `Put ${count} ${what} in the basket.`,
        `Can you add ${count} ${what}?`,
        `I need ${count} ${what} in my cart.`,
        `Order ${count} ${what} for me.`,
        `I would like ${count} ${what}, please.`,
      ],
      followUp: `Also ${count} ${what}.`,
      incomplete: 'Add something to my cart.',
    }),
    answer: ([what, count]) => ({
      result: pythonJson({ added: count }),
      answer: `I added ${count} ${what} to your cart.`,
    }),
  },
  {
    functions: ['create_reminder', 'remind', 'add_reminder', 'new_reminder', 'remember'],
    description: 'Creates a reminder.',
    topic: 'reminder',
    kinds: [{ ...thing, names: ['title', 'text', 'what', 'note'], words: 'title', value: shortText }, day],
    say: ([what, when]) => ({
      requests: [
        `Remind me of "${what}" on ${when}.`,
        `Create a reminder "${what}" for ${when}.`,
        `Add a reminder for ${when}: "${what}"`,
        `I must not forget "${what}" on ${when}.`,
        `Can you remind me on ${when}? "${what}"`,
        `New reminder, ${when}: "${what}"`,
        `On ${when}, remind me of "${what}".`,
      ],
      followUp: `And of "${what}" on ${when}.`,
      incomplete: 'Create a reminder.',
    }),
    answer: ([what, when]) => ({
      result: pythonJson({ ok: true }),
      answer: `I will remind you of "${what}" on ${when}.`,
    }),
  },
  {
    functions: ['get_distance', 'distance', 'how_far', 'route_length'],
    description: 'Gives the distance between two places in kilometres.',
    topic: 'distance',
    kinds: [
      { ...place, names: ['from', 'start', 'origin', 'source'] },
      { ...place, names: ['to', 'end', 'destination', 'target'] },
    ],
    say: ([from, to]) => ({
      requests: [
        `How far is it from ${from} to ${to}?`,
        `What is the distance from ${from} to ${to}?`,
        `Distance between ${from} and ${to}?`,
        `I travel from ${from} to ${to}. How far is that?`,
        `Can you tell me how far it is from ${from} to ${to}?`,
        `Going from ${from} to ${to}: how many kilometres?`,
        `How many kilometres from ${from} to ${to}?`,
      ],
      followUp: `And from ${from} to ${to}?`,
      incomplete: 'How far is it?',
    }),
    answer: ([from, to], random) => {
      const km = random.int(20, 9000);
      return { result: pythonJson({ km }), answer: `It is ${km} km from ${from} to ${to}.` };
    },
  },
  {
    functions: ['get_order_status', 'order_status', 'track_order', 'where_is_order'],
    description: 'Tells the state of an order.',
    topic: 'order state',
    kinds: [{ ...amount, names: ['order_id', 'id', 'order', 'order_number'], words: 'order number' }],
    say: ([id]) => ({
      requests: [
        `Where is my order ${id}?`,
        `What is the status of order ${id}?`,
        `Track order ${id}.`,
        `Tell me where order ${id} is.`,
        `Can you look up order ${id}?`,
        `I am waiting for order ${id}. Where is it?`,
        `Has order ${id} been sent?`,
      ],
      followUp: `And order ${id}?`,
      incomplete: 'Where is my order?',
    }),
    answer: ([id], random) => {
      const status = random.pick(['shipped', 'waiting', 'delivered', 'cancelled', 'packed']);
      return { result: pythonJson({ status }), answer: `Order ${id} is ${status}.` };
    },
  },
  {
    functions: ['book_table', 'reserve', 'reserve_table', 'make_reservation'],
    description: 'Books a table in a restaurant.',
    topic: 'table',
    kinds: [{ ...amount, names: ['people', 'guests', 'persons', 'seats'], words: 'number of people' }, day],
    say: ([people, when]) => ({
      requests: [
        `Book a table for ${people} on ${when}.`,
        `Reserve a table for ${people} people, ${when}.`,
        `I need a table for ${people} on ${when}.`,
        `We are ${people} and need a table on ${when}.`,
        `Please get a table for ${people} on ${when}.`,
        `Table for ${people}, ${when}, please.`,
        `Can you get us a table on ${when}? We are ${people}.`,
      ],
      followUp: `And one for ${people} on ${when}.`,
      incomplete: 'Book a table.',
    }),
    answer: ([people, when]) => ({
      result: pythonJson({ booked: true }),
      answer: `The table for ${people} on ${when} is booked.`,
    }),
  },
];

/** JSON as Python writes it, with spaces: what the calls of this model look like. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, entry]) => `${JSON.stringify(key)}: ${pythonJson(entry)}`)
    .join(', ')}}`;
}

/** A function of some concept, or an invented one, with a request for it. */
export function drawFunctionUse(draw: ConceptDraw): FunctionUse {
  return draw.random.chance(0.55) ? conceptUse(draw) : inventedUse(draw);
}

/** `get_weather` of a `location`, as most programs declare it. */
export function drawWeatherUse(draw: ConceptDraw): FunctionUse {
  const weather = concepts[0]!;
  return conceptUse(draw, { ...weather, functions: ['get_weather'], kinds: [{ ...place, names: ['location'] }] });
}

function conceptUse(draw: ConceptDraw, named?: Concept): FunctionUse {
  const { random } = draw;
  const concept = named ?? random.pick(concepts);
  const name = random.chance(0.85) ? random.pick(concept.functions) : inventedName(random);
  const { description } = concept;
  return useOf(draw, namedParameters(concept.kinds, draw), name, description, (parameters, { random: numbers }) => {
    const values = parameters.map(({ value }) => value as string | number);
    const said = concept.say(values);
    return {
      requests: said.requests.slice(0, -1),
      heldOutRequests: said.requests.slice(-1),
      followUp: said.followUp,
      incomplete: { request: said.incomplete, missing: concept.kinds[0]!.words },
      topic: concept.topic,
      ...concept.answer(values, numbers),
    };
  });
}

/** A verb, a noun that means nothing, and one to three values that the request names by kind or by parameter. */
function inventedUse(draw: ConceptDraw): FunctionUse {
  const { random } = draw;
  const verb = random.pick(verbs);
  const noun = random.chance(0.7)
    ? inventedWord(random, random.int(3, 8))
    : random.pick(['door', 'lamp', 'pump', 'file', 'job', 'room']);
  const adjective = random.chance(0.25) ? `${random.pick(adjectives)} ` : '';
  const what = `${adjective}${noun}`;
  const name = random.pick([`${verb}_${noun}`, `${noun}_${verb}`, `${verb}_${what.replaceAll(' ', '_')}`]);
  const Verb = verb[0]!.toUpperCase() + verb.slice(1);
  const description = `${Verb}s the ${what}.`.replace('ys ', 'ies ');
  const drawn = namedParameters(drawKinds(random), draw);
  return useOf(draw, drawn, name, description, (parameters, { random: numbers }) => {
    const rest = parameters.map((parameter) => phraseOf(parameter, numbers)).join(' ');
    const [result, answer] = numbers.pick([
      ['{"ok": true}', 'Done.'],
      ['{"status": "done"}', 'Done.'],
      ...[numbers.int(0, 999)].map((n) => [`{"result": ${n}}`, `The result is ${n}.`] as const),
      ...[properName(numbers)].map((word) => [`{"value": "${word}"}`, `The value is ${word}.`] as const),
    ] as const);
    return {
      requests: [
        `${Verb} the ${what} ${rest}.`,
        `Please ${verb} the ${what} ${rest}.`,
        `${verb} ${what} ${rest}`,
        `Can you ${verb} the ${what} ${rest}?`,
        `Could you please ${verb} the ${what} ${rest}?`,
        `I need to ${verb} the ${what} ${rest}.`,
        `Time to ${verb} the ${what} ${rest}.`,
      ],
      heldOutRequests: [`I want you to ${verb} the ${what} ${rest}.`],
      followUp: `Now ${verb} the ${what} ${rest}.`,
      incomplete: { request: `${Verb} the ${what}.`, missing: parameters[0]!.name.replaceAll('_', ' ') },
      ...{ result, answer, topic: `${verb} ${what}` },
    };
  });
}

type Said = Omit<FunctionUse, 'definition' | 'declared' | 'arguments' | 'parameters' | 'again'>;
type Say = (parameters: readonly Parameter[], draw: ConceptDraw) => Said;

/** With the declaration; now and then with a parameter more that may be left out, and is when nobody names it. */
function useOf(
  draw: ConceptDraw,
  parameters: readonly Parameter[],
  name: string,
  description: string,
  say: Say,
): FunctionUse {
  const { random } = draw;
  const said = say(parameters, draw);
  const extra = random.chance(0.3) ? optionalParameter(draw, parameters) : null;
  const isGiven = extra !== null && random.chance(0.5);
  const more = isGiven ? ` ${sentenceOf(extra)}` : '';
  const add = (request: string): string => `${request}${more === '' || /[.?!"]$/.test(request) ? '' : '.'}${more}`;
  const definition = define(name, description, parameters, extra, random);
  const order = Object.keys((definition.parameters as { properties: object }).properties);
  const known = extra === null ? parameters : [...parameters, extra];
  const use: FunctionUse = {
    ...said,
    definition,
    declared: order.map((key) => known.find((parameter) => parameter.name === key)!),
    requests: said.requests.map(add),
    heldOutRequests: said.heldOutRequests.map(add),
    followUp: add(said.followUp),
    parameters,
    arguments: argumentsOf(isGiven ? [...parameters, extra] : parameters),
    again: (other) => {
      const changed = parameters.map((parameter) => withOtherValue(parameter, other));
      return { ...use, ...say(changed, other), arguments: argumentsOf(changed) };
    },
  };
  return use;
}

function argumentsOf(parameters: readonly Parameter[]): Record<string, unknown> {
  return Object.fromEntries(parameters.map(({ name, value }) => [name, value]));
}
